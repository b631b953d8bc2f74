//! docker-compose.yml, .env.example and prometheus/compose.yml, held to the programs and the settings that they have. Read line by line: what these tests ask of
//! the file is no more than its lines.

use std::collections::BTreeSet;

use shared_events::Service;

use crate::settings::names;
use crate::workload::Workload;

const COMPOSE: &str = include_str!("../../../../docker-compose.yml");
const EXAMPLE: &str = include_str!("../../../../.env.example");
const SCRAPED: &str = include_str!("../../../../prometheus/compose.yml");

/// What Compose gives a program that `restart --set` does not change: where it is in its network, and how it is run.
const PLACE: [&str; 8] = [
    "DATABASE_URL",
    "LOAD_GENERATOR_URL",
    "NAME_PREFIX",
    "ORDER_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_TRACES_SAMPLER_ARG",
    "SANDBOX_WAY",
    "SLOT",
];

const fn prefix(workload: Workload) -> &'static str {
    match workload {
        Workload::Service(Service::Order) => "ORDER",
        Workload::Service(Service::Payment) => "PAYMENT",
        Workload::Service(Service::Inventory) => "INVENTORY",
        Workload::LoadGenerator => "LOAD_GENERATOR",
        Workload::LagMonitor => "LAG_MONITOR",
    }
}

/// Name and value of each line of the service's `environment:`.
fn environment(service: Workload) -> Vec<(&'static str, &'static str)> {
    let key = format!("  {service}:");
    let of_service = COMPOSE.lines().skip_while(|line| *line != key).skip(1);
    let block = of_service
        .take_while(|line| line.starts_with("    ") || line.is_empty())
        .skip_while(|line| *line != "    environment:")
        .skip(1)
        .take_while(|line| line.starts_with("      "));
    let lines = block.map(str::trim).filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).collect()
}

/// How the file has to pass a setting on, so that it can be changed from outside.
fn passed(service: Workload, name: &str) -> String {
    let default = match name {
        "KAFKA_BOOTSTRAP_SERVERS" => "kafka:29092",
        "POISON_PRODUCT" => "prod_ignore",
        _ => "",
    };
    format!("${{{}_{name}-{default}}}", prefix(service))
}

#[test]
fn the_compose_file_passes_every_setting_of_every_service_and_no_other() {
    for service in Workload::ALL {
        let environment = environment(service);
        for name in names(service) {
            let found = environment.iter().find(|(known, _)| *known == name);
            let value = found.map(|(_, value)| (*value).to_owned());
            assert_eq!(value, Some(passed(service, &name)), "{service}: {name}");
        }
        let known: BTreeSet<String> = names(service).into_iter().collect();
        for (name, _) in &environment {
            assert!(
                known.contains(*name) || PLACE.contains(name),
                "{service} is given {name}, which it does not know"
            );
        }
        let distinct: BTreeSet<_> = environment.iter().map(|(name, _)| name).collect();
        assert_eq!(distinct.len(), environment.len(), "{service}: one twice");
    }
}

/// The variables that stand in the file as `${NAME…`, but in comments.
fn used() -> BTreeSet<&'static str> {
    let lines = COMPOSE.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with('#'));
    let places = lines.flat_map(|line| line.split("${").skip(1));
    let end = |rest: &str| rest.find(|c: char| !c.is_ascii_uppercase() && c != '_');
    places.map(|rest| &rest[..end(rest).unwrap()]).collect()
}

/// The variables that the example sets.
fn explained() -> BTreeSet<&'static str> {
    let lines = EXAMPLE.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, _)| name).collect()
}

#[test]
fn every_variable_of_the_compose_file_is_explained_and_every_explained_one_is_used() {
    let (used, explained) = (used(), explained());
    assert!(used.contains("BIND_ADDR"), "{used:?}");
    assert_eq!(used, explained);
}

#[test]
fn prometheus_scrapes_every_program_at_the_port_of_its_containers() {
    let lines = SCRAPED
        .lines()
        .filter(|line| line.contains("job_name") || line.contains("names:"));
    let lines: Vec<_> = lines.map(str::trim).collect();
    let wanted = Workload::ALL.map(|one| {
        let (name, port) = (one.name(), one.container_port());
        [
            format!("- job_name: {name}"),
            format!(
                "dns_sd_configs: [{{names: [{name}], type: A, port: {port}, refresh_interval: 5s}}]"
            ),
        ]
    });
    assert_eq!(lines, wanted.concat());
}
