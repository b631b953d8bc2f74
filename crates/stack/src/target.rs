//! The target of a verb: `inventory-service`, `inventory-service.2`, `lag-monitor`, `kafka`, `kafka.2`, `postgres`, `prometheus`.

use std::fmt;
use std::str::FromStr;

use local_runtime::kafka::KAFKA;
use shared_events::Service;

use crate::ports::MAX_SLOTS;
use crate::workload::{WORKLOAD_NAMES, Workload};

/// All instances of a program, or one of them: `inventory-service` or `inventory-service.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<W = Service> {
    /// The program: a [`Service`], or a [`Workload`] where a tool is valid, too.
    pub of: W,
    /// The number of the instance, counted from 1; `None` means all instances.
    pub slot: Option<u32>,
}

/// Any process of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessTarget {
    /// All brokers, or of several brokers the one with this `node.id`.
    Kafka(Option<u16>),
    /// The database.
    Postgres,
    /// Prometheus, which `up --observe` starts.
    Prometheus,
    /// Instances of a service or tool.
    Workload(Target<Workload>),
}

impl<W: FromStr<Err: fmt::Display>> FromStr for Target<W> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, slot) = match text.split_once('.') {
            None => (text, None),
            Some((name, slot)) => (name, Some(slot)),
        };
        let of = name
            .parse()
            .map_err(|limit| format!("{name}: {limit}, optionally with .slot"))?;
        let slot = slot.map(parse_slot).transpose()?;
        Ok(Self { of, slot })
    }
}

fn parse_slot(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(slot @ 1..=MAX_SLOTS) => Ok(slot),
        _ => Err(format!(
            "slot {text}: must be a whole number from 1 to {MAX_SLOTS}, as in inventory-service.2"
        )),
    }
}

impl FromStr for ProcessTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kafka" => Ok(Self::Kafka(None)),
            "kafka.1" => Ok(Self::Kafka(Some(1))),
            "kafka.2" => Ok(Self::Kafka(Some(2))),
            "kafka.3" => Ok(Self::Kafka(Some(3))),
            "postgres" => Ok(Self::Postgres),
            "prometheus" => Ok(Self::Prometheus),
            other => {
                let name = other.split('.').next().unwrap_or(other);
                name.parse::<Workload>().map_err(|_| {
                    format!(
                        "{other}: must be {}, optionally with .slot, or kafka, postgres or prometheus (of three brokers one is kafka.1, kafka.2 or kafka.3)",
                        WORKLOAD_NAMES
                    )
                })?;
                other.parse().map(Self::Workload)
            }
        }
    }
}

impl<W: fmt::Display> fmt::Display for Target<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slot {
            None => self.of.fmt(f),
            Some(slot) => write!(f, "{}.{slot}", self.of),
        }
    }
}

impl fmt::Display for ProcessTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kafka(None) => f.write_str(KAFKA),
            Self::Kafka(Some(id)) => write!(f, "{KAFKA}.{id}"),
            Self::Postgres => f.write_str("postgres"),
            Self::Prometheus => f.write_str("prometheus"),
            Self::Workload(target) => target.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_service_with_or_without_a_slot() {
        let one: Target = "inventory-service.2".parse().unwrap();
        assert_eq!((one.of, one.slot), (Service::Inventory, Some(2)));
        assert_eq!(
            "order-service"
                .parse::<ProcessTarget>()
                .unwrap()
                .to_string(),
            "order-service"
        );
        assert_eq!("kafka".parse(), Ok(ProcessTarget::Kafka(None)));
        assert_eq!("kafka.2".parse(), Ok(ProcessTarget::Kafka(Some(2))));
        assert_eq!("prometheus".parse(), Ok(ProcessTarget::Prometheus));
        for bad in [
            "",
            "inventory",
            "inventory-service.",
            "inventory-service.0",
            "order-service.10",
            "kafka.0",
            "kafka.4",
        ] {
            assert!(bad.parse::<ProcessTarget>().is_err(), "{bad}");
        }
    }
}
