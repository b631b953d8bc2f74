//! Which services docker-compose.yml has, what they start after, and which files they need.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use local_runtime::kafka::{Node, NodeConfig, server_properties};

use crate::compose_file_tests::{COMPOSE, THREE_BROKERS, block, environment};
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

/// Name and value of each line below this key of docker-compose.brokers.yml.
fn shared_by_brokers(key: &str) -> BTreeMap<&'static str, &'static str> {
    let lines = THREE_BROKERS
        .lines()
        .skip_while(|line| !line.starts_with(key))
        .skip(1)
        .take_while(|line| line.starts_with("  "));
    let lines = lines.map(str::trim).filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).collect()
}

#[test]
fn each_of_three_brokers_has_the_settings_of_the_only_one_and_those_of_a_cluster() {
    let same = shared_by_brokers("x-as-one:");
    let of_cluster = shared_by_brokers("x-cluster:");
    let own = ["KAFKA_NODE_ID", "KAFKA_ADVERTISED_LISTENERS"];
    for (name, value) in environment("kafka") {
        match same.get(name) {
            Some(repeated) => assert_eq!(*repeated, value, "{name}"),
            None => assert!(
                of_cluster.contains_key(name) || own.contains(&name),
                "{name}"
            ),
        }
    }
    let config = NodeConfig {
        node: Node { id: 2, of: 3 },
        listen: SocketAddr::from(([0, 0, 0, 0], 9092)),
        bootstrap: "kafka-2:29092",
        controllers: &[9093, 9093, 9093],
        data: "data",
    };
    let local: BTreeMap<_, _> = server_properties(config).collect();
    for (name, value) in of_cluster {
        let property = name.trim_start_matches("KAFKA_").to_lowercase();
        if let Some(local) = local.get(property.replace('_', ".").as_str()) {
            let is_address = property.contains("listeners") || property.contains("voters");
            assert!(is_address || local == value, "{name}={value}, not {local}");
        }
    }
}
