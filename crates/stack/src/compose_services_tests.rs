//! Which services docker-compose.yml has, what they start after, and which files they need.

use std::collections::BTreeSet;

use crate::compose_file_tests::{COMPOSE, block};
use crate::workload::Workload;

const CONTAINERS: &str = include_str!("../../../docker/containers.sh");

/// The value of a list of names in docker/containers.sh.
fn listed_in_shell(variable: &str) -> Vec<&'static str> {
    let start = format!("{variable}='");
    let mut lines = CONTAINERS.lines();
    let value = lines.find_map(|line| line.strip_prefix(start.as_str()));
    value.unwrap().trim_end_matches('\'').split(' ').collect()
}

/// The services that start without a profile, in the order of the file.
fn services_without_profile() -> Vec<&'static str> {
    let services = COMPOSE.split("\nservices:\n").nth(1).unwrap();
    let services = services.split("\nvolumes:\n").next().unwrap();
    let names = services.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.strip_suffix(':')?;
        (!name.starts_with([' ', '#'])).then_some(name)
    });
    names
        .filter(|name| !block(name).any(|line| line.starts_with("    profiles:")))
        .collect()
}

#[test]
fn the_shell_part_of_docker_mode_knows_every_service_of_the_compose_file() {
    let ours: Vec<_> = Workload::ALL.iter().map(|one| one.name()).collect();
    assert_eq!(listed_in_shell("services"), ours);
    let lists = ["services", "backends", "setups"].map(listed_in_shell);
    let known: BTreeSet<_> = lists.concat().into_iter().collect();
    let defined: BTreeSet<_> = services_without_profile().into_iter().collect();
    assert_eq!(known, defined);
}

#[test]
fn no_container_needs_a_file_of_the_checkout() {
    let mut mounts = COMPOSE.lines().filter(|line| {
        let line = line.trim_start();
        !line.starts_with('#') && (line.contains("./") || line.contains("type: bind"))
    });
    assert_eq!(mounts.next(), None);
}

#[test]
fn a_service_with_a_database_starts_after_it_was_created() {
    let after = block("order-service").collect::<Vec<_>>().join("\n");
    assert!(after.contains("depends_on: &after"), "{after}");
    assert!(after.contains("postgres-setup: {condition: service_completed_successfully}"));
    let inventory = block("inventory-service").any(|line| line == "    depends_on: *after");
    assert!(inventory);
    assert!(block("postgres-setup").any(|line| line.contains("create-databases")));
}
