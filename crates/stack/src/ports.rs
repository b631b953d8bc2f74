//! Every port of a stack: its default, the environment variable that changes it, and which instance listens on which port.
//!
//! docker-compose.yml, .env.example and prometheus/compose.yml repeat these defaults; the tests in `compose_file_tests`
//! compare them with this file.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};
use local_runtime::kafka::Node;
use local_runtime::postgres::POSTGRES;
use local_runtime::prometheus::PROMETHEUS;
use service_kit::settings::whole_number;
use shared_events::Service;

use crate::terminal::Usage;
use crate::workload::Workload;

/// The highest number of instances of one service.
pub const MAX_SLOTS: u32 = 9;

/// The broker's address inside the network of docker-compose.yml.
pub const CONTAINER_BOOTSTRAP_SERVERS: &str = "kafka:29092";

/// The address of the database server inside the network of docker-compose.yml.
pub const CONTAINER_POSTGRES: &str = "postgres:5432";

const ORDER: u16 = 3000;
const PAYMENT: u16 = 3002;
const INVENTORY: &str = "8001-8009";
const INVENTORY_FIRST: u16 = 8001;
const LOAD_GENERATOR: u16 = 8000;
const LAG_MONITOR: u16 = 8010;
const PAYMENT_GATEWAY: u16 = 8020;

/// The ports of one stack on this host.
#[derive(Debug, Clone, clap::Args)]
pub struct Ports {
    /// Port of order-service; instance n ≥ 2 listens on this port + 9 + n
    #[arg(long, env = "ORDER_PORT", default_value_t = ORDER, value_parser = whole_number::<u16>(1..=65_000))]
    pub order_port: u16,

    /// Port of payment-service; instance n ≥ 2 listens on this port + 17 + n
    #[arg(long, env = "PAYMENT_PORT", default_value_t = PAYMENT, value_parser = whole_number::<u16>(1..=65_000))]
    pub payment_port: u16,

    /// Ports of inventory-service, first to last: one for each instance
    #[arg(long, env = "INVENTORY_PORTS", default_value = INVENTORY)]
    pub inventory_ports: PortRange,

    /// Port of load-generator
    #[arg(long, env = "LOAD_GENERATOR_PORT", default_value_t = LOAD_GENERATOR, value_parser = whole_number::<u16>(1..=u16::MAX))]
    pub load_generator_port: u16,

    /// Port of lag-monitor
    #[arg(long, env = "LAG_MONITOR_PORT", default_value_t = LAG_MONITOR, value_parser = whole_number::<u16>(1..=u16::MAX))]
    pub lag_monitor_port: u16,

    /// Port of payment-gateway, which `up --gateway` starts
    #[arg(long, env = "PAYMENT_GATEWAY_PORT", default_value_t = PAYMENT_GATEWAY, value_parser = whole_number::<u16>(1..=u16::MAX))]
    pub payment_gateway_port: u16,

    /// Port of the broker; the others of three brokers listen on the next two ports
    #[arg(long, env = "KAFKA_PORT", default_value_t = 9092, value_parser = whole_number::<u16>(1..=u16::MAX))]
    pub kafka_port: u16,

    /// Port of the database
    #[arg(long, env = "POSTGRES_PORT", default_value_t = 5432, value_parser = whole_number::<u16>(1..=u16::MAX))]
    pub postgres_port: u16,

    /// Port of Prometheus, which `up --observe` starts
    #[arg(long, env = "PROMETHEUS_PORT", default_value_t = 9090, value_parser = whole_number::<u16>(1..=u16::MAX))]
    pub prometheus_port: u16,
}

/// A port that a process of the stack listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedPort {
    /// The name of the process: `inventory-service.2`, `kafka`.
    pub process: String,
    /// The port on the host.
    pub port: u16,
    /// The environment variable that chooses the port.
    pub variable: &'static str,
}

impl Ports {
    /// Each port with the environment variable that sets it, for the environment of another `sandbox` command.
    pub fn variables(&self) -> [(&'static str, String); 9] {
        [
            ("ORDER_PORT", self.order_port.to_string()),
            ("PAYMENT_PORT", self.payment_port.to_string()),
            ("INVENTORY_PORTS", self.inventory_ports.to_string()),
            ("LOAD_GENERATOR_PORT", self.load_generator_port.to_string()),
            ("LAG_MONITOR_PORT", self.lag_monitor_port.to_string()),
            (
                "PAYMENT_GATEWAY_PORT",
                self.payment_gateway_port.to_string(),
            ),
            ("KAFKA_PORT", self.kafka_port.to_string()),
            ("POSTGRES_PORT", self.postgres_port.to_string()),
            ("PROMETHEUS_PORT", self.prometheus_port.to_string()),
        ]
    }

    /// The port of an instance; an error that names the valid slots if the workload has no such slot.
    pub fn instance_port(&self, workload: Workload, slot: u32) -> Result<u16> {
        let limit = self.max_slots(workload);
        if slot == 0 || slot > limit {
            return Err(Usage::error(match limit {
                1 => format!("{workload}.{slot}: there is one {workload}, slot 1"),
                limit => format!("{workload}.{slot}: {workload} has slots 1 to {limit}"),
            }));
        }
        let (first, offset) = match workload {
            Workload::Service(Service::Order) if slot == 1 => (self.order_port, 0),
            Workload::Service(Service::Order) => (self.order_port, 9 + slot),
            Workload::Service(Service::Payment) if slot == 1 => (self.payment_port, 0),
            Workload::Service(Service::Payment) => (self.payment_port, 17 + slot),
            Workload::Service(Service::Inventory) => (self.inventory_ports.first, slot - 1),
            Workload::LoadGenerator => (self.load_generator_port, 0),
            Workload::LagMonitor => (self.lag_monitor_port, 0),
            Workload::PaymentGateway => (self.payment_gateway_port, 0),
        };
        u16::try_from(u32::from(first) + offset).with_context(|| {
            format!("{workload}.{slot} has no port: {first} + {offset} is above 65535")
        })
    }

    /// The highest number of instances of this workload. A second tool of one kind would only repeat the first.
    pub fn max_slots(&self, workload: Workload) -> u32 {
        match workload {
            Workload::Service(Service::Order | Service::Payment) => MAX_SLOTS,
            Workload::Service(Service::Inventory) => {
                let PortRange { first, last } = self.inventory_ports;
                MAX_SLOTS.min(u32::from(last - first) + 1)
            }
            Workload::LoadGenerator | Workload::LagMonitor | Workload::PaymentGateway => 1,
        }
    }

    /// The port of an instance, with the name of its process and the variable that chooses the port.
    pub fn of_instance(&self, workload: Workload, slot: u32) -> Result<AssignedPort> {
        Ok(AssignedPort {
            process: workload.process_name(slot),
            port: self.instance_port(workload, slot)?,
            variable: port_variable(workload),
        })
    }

    /// The port of a broker. Those of a cluster are consecutive.
    pub fn of_kafka(&self, node: Node) -> AssignedPort {
        let port = self.kafka_port.saturating_add(node.id.saturating_sub(1));
        assigned(&node.name(), port, "KAFKA_PORT")
    }

    /// The database's port.
    pub fn of_postgres(&self) -> AssignedPort {
        assigned(POSTGRES, self.postgres_port, "POSTGRES_PORT")
    }

    /// Prometheus' port.
    pub fn of_prometheus(&self) -> AssignedPort {
        assigned(PROMETHEUS, self.prometheus_port, "PROMETHEUS_PORT")
    }
}

fn assigned(process: &str, port: u16, variable: &'static str) -> AssignedPort {
    AssignedPort {
        process: process.to_owned(),
        port,
        variable,
    }
}

const fn port_variable(workload: Workload) -> &'static str {
    match workload {
        Workload::Service(Service::Order) => "ORDER_PORT",
        Workload::Service(Service::Payment) => "PAYMENT_PORT",
        Workload::Service(Service::Inventory) => "INVENTORY_PORTS",
        Workload::LoadGenerator => "LOAD_GENERATOR_PORT",
        Workload::LagMonitor => "LAG_MONITOR_PORT",
        Workload::PaymentGateway => "PAYMENT_GATEWAY_PORT",
    }
}

/// The port on which every container of this workload listens: the default port of its first instance.
pub const fn container_port(workload: Workload) -> u16 {
    match workload {
        Workload::Service(Service::Order) => ORDER,
        Workload::Service(Service::Payment) => PAYMENT,
        Workload::Service(Service::Inventory) => INVENTORY_FIRST,
        Workload::LoadGenerator => LOAD_GENERATOR,
        Workload::LagMonitor => LAG_MONITOR,
        Workload::PaymentGateway => PAYMENT_GATEWAY,
    }
}

/// Consecutive ports: `8001-8009`, or one: `8001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl FromStr for PortRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = "must be one port or first-last, as in 8001-8009";
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = first.trim().parse().map_err(|_| invalid)?;
        let last = last.trim().parse().map_err(|_| invalid)?;
        if first == 0 || last < first {
            return Err(invalid);
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use clap::{FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        ports: Ports,
    }

    #[test]
    fn every_instance_of_a_default_stack_has_a_port_of_its_own() {
        // Without the environment of this test run.
        let command =
            <Command as clap::CommandFactory>::command().mut_args(|arg| arg.env(None::<&str>));
        let matches = command.get_matches_from(["test"]);
        let ports = Command::from_arg_matches(&matches).unwrap().ports;
        let mut taken = vec![ports.postgres_port, ports.prometheus_port];
        taken.extend(Node::all(3).iter().map(|node| ports.of_kafka(*node).port));
        for workload in Workload::KNOWN {
            assert_eq!(
                ports.instance_port(workload, 1).unwrap(),
                container_port(workload)
            );
            for slot in 1..=ports.max_slots(workload) {
                taken.push(ports.instance_port(workload, slot).unwrap());
            }
            assert!(ports.instance_port(workload, 0).is_err());
            let too_many = ports.max_slots(workload) + 1;
            assert!(ports.instance_port(workload, too_many).is_err());
        }
        let number = taken.len();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), number);
    }
}
