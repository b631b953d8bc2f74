//! docker-compose.yml, .env.example and prometheus/compose.yml repeat names and defaults of this crate.
//! These tests compare them. They read the files line by line, so a setting must stand on a line of its own.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Command, FromArgMatches};
use local_runtime::database::SUPERUSER;
use shared_events::Service;

use crate::layout::Database;
use crate::ports::{CONTAINER_BOOTSTRAP_SERVERS, CONTAINER_POSTGRES, Ports, container_port};
use crate::settings::setting_names;
use crate::workload::Workload;

pub(crate) const COMPOSE: &str = include_str!("../../../docker-compose.yml");
pub(crate) const THREE_BROKERS: &str = include_str!("../../../docker-compose.brokers.yml");
const EXAMPLE: &str = include_str!("../../../.env.example");
const PROMETHEUS: &str = include_str!("../../../prometheus/compose.yml");

const KAFKA_SETTINGS: &str = include_str!("../../kafka-runtime/src/settings.rs");

/// The settings of the programs, whose defaults name ports and databases.
const PROGRAM_SETTINGS: [(Workload, &str); 6] = [
    (
        Workload::Service(Service::Order),
        include_str!("../../../order-service/src/settings.rs"),
    ),
    (
        Workload::Service(Service::Payment),
        include_str!("../../../payment-service/src/settings.rs"),
    ),
    (
        Workload::Service(Service::Inventory),
        include_str!("../../../inventory-service/src/settings.rs"),
    ),
    (
        Workload::LoadGenerator,
        include_str!("../../../load-generator/src/settings.rs"),
    ),
    (
        Workload::LagMonitor,
        include_str!("../../../lag-monitor/src/settings.rs"),
    ),
    (
        Workload::PaymentGateway,
        include_str!("../../../payment-gateway/src/settings.rs"),
    ),
];

/// The default of inventory-service. Compose repeats it, since an empty value in `.env` means no poison product.
const POISON_PRODUCT: &str = "prod_ignore";

/// Variables of a container that `restart --set` does not change: its place in the network, and how it runs.
const FIXED: [&str; 9] = [
    "DATABASE_URL",
    "INSTANCE_HOSTS",
    "LOAD_GENERATOR_URL",
    "NAME_PREFIX",
    "ORDER_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_TRACES_SAMPLER_ARG",
    "SANDBOX_MODE",
    "SLOT",
];

const fn prefix(workload: Workload) -> &'static str {
    match workload {
        Workload::Service(Service::Order) => "ORDER",
        Workload::Service(Service::Payment) => "PAYMENT",
        Workload::Service(Service::Inventory) => "INVENTORY",
        Workload::LoadGenerator => "LOAD_GENERATOR",
        Workload::LagMonitor => "LAG_MONITOR",
        Workload::PaymentGateway => "GATEWAY",
    }
}

/// The lines of a Compose service.
pub(crate) fn block(service: &str) -> impl Iterator<Item = &'static str> {
    let key = format!("  {service}:");
    let of_service = COMPOSE.lines().skip_while(move |line| *line != key).skip(1);
    of_service.take_while(|line| line.starts_with("    ") || line.is_empty())
}

/// Name and value of each line of the service's `environment:`.
pub(crate) fn environment(service: &str) -> Vec<(&'static str, &'static str)> {
    let lines = block(service)
        .skip_while(|line| !line.starts_with("    environment:"))
        .skip(1)
        .take_while(|line| line.starts_with("      "));
    let lines = lines.map(str::trim).filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap()).collect()
}

/// The value with which the file passes a setting on, so that `.env` can change it.
fn passed(workload: Workload, name: &str) -> String {
    let default = match name {
        "KAFKA_BOOTSTRAP_SERVERS" => CONTAINER_BOOTSTRAP_SERVERS,
        "POISON_PRODUCT" => POISON_PRODUCT,
        _ => "",
    };
    format!("${{{}_{name}-{default}}}", prefix(workload))
}

/// The default of each port variable.
fn default_ports() -> BTreeMap<&'static str, String> {
    // Without the environment of this test run.
    let command = Ports::augment_args(Command::new("test")).mut_args(|arg| arg.env(None::<&str>));
    let ports = Ports::from_arg_matches(&command.get_matches_from(["test"])).unwrap();
    BTreeMap::from(ports.variables())
}

/// The variables in the Compose files, outside of comments, each with its default: `${NAME-default}`.
fn compose_defaults() -> BTreeSet<(&'static str, &'static str)> {
    let lines = COMPOSE.lines().chain(THREE_BROKERS.lines()).map(str::trim);
    let lines = lines.filter(|line| !line.starts_with('#'));
    let variables = lines.flat_map(|line| line.split("${").skip(1));
    let variables = variables.map(|rest| rest.split_once('}').unwrap().0);
    variables
        .map(|text| text.split_once('-').unwrap())
        .collect()
}

/// The variables that the example sets, with their values.
fn example_values() -> BTreeSet<(&'static str, &'static str)> {
    let lines = EXAMPLE.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).collect()
}

#[test]
fn the_compose_file_passes_every_setting_of_every_service_and_no_other() {
    for workload in Workload::KNOWN {
        let environment = environment(workload.name());
        for name in setting_names(workload) {
            let found = environment.iter().find(|(known, _)| *known == name);
            let value = found.map(|(_, value)| (*value).to_owned());
            assert_eq!(value, Some(passed(workload, &name)), "{workload}: {name}");
        }
        let known: BTreeSet<String> = setting_names(workload).into_iter().collect();
        for (name, _) in &environment {
            assert!(
                known.contains(*name) || FIXED.contains(name),
                "{workload} has no setting {name}"
            );
        }
        let distinct: BTreeSet<_> = environment.iter().map(|(name, _)| name).collect();
        assert_eq!(
            distinct.len(),
            environment.len(),
            "{workload}: a name twice"
        );
    }
}

#[test]
fn the_example_explains_every_variable_and_repeats_the_compose_defaults() {
    let (used, explained) = (compose_defaults(), example_values());
    assert!(used.contains(&("BIND_ADDR", "127.0.0.1")), "{used:?}");
    assert_eq!(used, explained);
}

#[test]
fn the_default_ports_of_the_compose_file_are_those_of_local_mode() {
    let defaults = compose_defaults();
    for (name, port) in default_ports() {
        assert!(defaults.contains(&(name, port.as_str())), "{name}={port}");
    }
}

#[test]
fn a_published_port_leads_to_the_port_of_the_container() {
    for workload in Workload::KNOWN {
        let published = block(workload.name()).find(|line| line.starts_with("    ports:"));
        let end = format!(":{}\"]", container_port(workload));
        assert!(
            published.is_some_and(|line| line.ends_with(&end)),
            "{workload}: {published:?}"
        );
    }
}

#[test]
fn a_program_listens_on_the_port_of_its_container_by_default() {
    for (workload, settings) in PROGRAM_SETTINGS {
        let line = settings
            .lines()
            .find(|line| line.contains("env = \"PORT\""));
        // Another argument follows.
        let default = format!("default_value_t = {},", container_port(workload));
        assert!(
            line.is_some_and(|line| line.contains(&default)),
            "{workload}: {line:?}"
        );
    }
}

#[test]
fn a_program_finds_broker_database_and_other_programs_of_a_default_stack() {
    let ports = default_ports();
    let broker = format!("\"127.0.0.1:{}\"", ports["KAFKA_PORT"]);
    assert!(KAFKA_SETTINGS.contains(&broker), "{broker}");
    for (workload, settings) in PROGRAM_SETTINGS {
        let database = workload.service().and_then(Database::of);
        let database = database.map(|Database { name, role }| {
            let port = &ports["POSTGRES_PORT"];
            format!("\"postgres://{role}:{role}@127.0.0.1:{port}/{name}\"")
        });
        let url = match workload {
            Workload::LoadGenerator => {
                Some(format!("\"http://127.0.0.1:{}\"", ports["ORDER_PORT"]))
            }
            Workload::LagMonitor => {
                let port = &ports["LOAD_GENERATOR_PORT"];
                Some(format!("\"http://127.0.0.1:{port}\""))
            }
            Workload::Service(_) | Workload::PaymentGateway => None,
        };
        for default in database.into_iter().chain(url) {
            let default = format!("default_value = {default}");
            assert!(settings.contains(&default), "{workload}: {default}");
        }
    }
}

#[test]
fn the_poison_product_of_the_containers_is_that_of_local_mode() {
    let default = format!("default_value = \"{POISON_PRODUCT}\"");
    let inventory = Workload::Service(Service::Inventory);
    let settings = PROGRAM_SETTINGS.iter().find(|(one, _)| *one == inventory);
    assert!(settings.unwrap().1.contains(&default), "{default}");
}

#[test]
fn the_containers_find_each_other_at_the_ports_they_listen_on() {
    for (user, variable, used) in [
        (
            Workload::LoadGenerator,
            "ORDER_URL",
            Workload::Service(Service::Order),
        ),
        (
            Workload::LagMonitor,
            "LOAD_GENERATOR_URL",
            Workload::LoadGenerator,
        ),
    ] {
        let url = format!("http://{used}:{}", container_port(used));
        assert!(
            environment(user.name()).contains(&(variable, url.as_str())),
            "{user}: {variable}={url}"
        );
    }
    let hosts = Service::ALL.map(|service| {
        let port = container_port(Workload::Service(service));
        format!("{service}:{port}")
    });
    let hosts = hosts.join(",");
    let monitor = environment(Workload::LagMonitor.name());
    assert!(
        monitor.contains(&("INSTANCE_HOSTS", hosts.as_str())),
        "{hosts}"
    );
}

#[test]
fn the_containers_use_the_databases_of_local_mode() {
    for service in Service::ALL {
        let environment = environment(service.name());
        let url = environment.iter().find(|(name, _)| *name == "DATABASE_URL");
        let expected = Database::of(service).map(|Database { name, role }| {
            format!("postgres://{role}:{role}@{CONTAINER_POSTGRES}/{name}")
        });
        assert_eq!(url.map(|(_, url)| (*url).to_owned()), expected, "{service}");
    }
    let password = environment("postgres")
        .into_iter()
        .find(|(name, _)| *name == "POSTGRES_PASSWORD");
    assert_eq!(password, Some(("POSTGRES_PASSWORD", SUPERUSER)));
}

#[test]
fn the_broker_listens_where_the_containers_look_for_it() {
    let (_, listener) = CONTAINER_BOOTSTRAP_SERVERS.split_once(':').unwrap();
    let broker = environment("kafka");
    let value = |name: &str| broker.iter().find(|(known, _)| *known == name).unwrap().1;
    assert!(value("KAFKA_LISTENERS").contains(&format!("INTERNAL://:{listener},")));
    let advertised = format!("INTERNAL://{CONTAINER_BOOTSTRAP_SERVERS},");
    assert!(value("KAFKA_ADVERTISED_LISTENERS").contains(&advertised));
    assert!(
        environment("kafka-setup")
            .contains(&("KAFKA_BOOTSTRAP_SERVERS", CONTAINER_BOOTSTRAP_SERVERS))
    );
}

#[test]
fn prometheus_scrapes_every_program_at_the_port_of_its_containers() {
    let lines = PROMETHEUS
        .lines()
        .filter(|line| line.contains("job_name") || line.contains("names:"));
    let lines: Vec<_> = lines.map(str::trim).collect();
    let expected = Workload::KNOWN.map(|workload| {
        let (name, port) = (workload.name(), container_port(workload));
        [
            format!("- job_name: {name}"),
            format!(
                "dns_sd_configs: [{{names: [{name}], type: A, port: {port}, refresh_interval: 5s}}]"
            ),
        ]
    });
    assert_eq!(lines, expected.concat());
}
