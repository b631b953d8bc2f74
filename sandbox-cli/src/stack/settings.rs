//! The settings of services: which can be changed from outside, and what an instance is started with.
//!
//! A service gets the environment written here and nothing of the person's shell, so that what `status` shows as changed is
//! all that is changed.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Parser;
use messaging::settings::TUNABLE;
use messaging::{ConsumerSettings, ConsumerTuning, FaultSettings};
use shared_events::Service;

use crate::cli::one_line;
use crate::sandbox::Sandbox;
use crate::terminal::Usage;

/// What any service can be told.
const COMMON: [&str; 13] = [
    "BATCH_MAX",
    "CRASH_AT",
    "DELIVERY",
    "DRAIN_TIMEOUT",
    "KAFKA_BOOTSTRAP_SERVERS",
    "LOG_FORMAT",
    "POISON_LIMIT",
    "POISON_POLICY",
    "PROCESSING_TIME_MS",
    "PROTECTION_OFF",
    "RUST_LOG",
    "SANDBOX_UNSAFE",
    "STATIC_MEMBERSHIP",
];

/// What one service can be told besides.
const fn own(service: Service) -> &'static [&'static str] {
    match service {
        Service::Order => &["HTTP_QUEUE", "OUTBOX_LIMIT"],
        Service::Payment => &[],
        Service::Inventory => &["POISON_PRODUCT"],
    }
}

const TUNING: &str = "KAFKA_CONSUMER_";

/// A setting as it is typed: `NAME=VALUE`. An empty value is a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The environment variable.
    pub name: String,
    /// What it is set to.
    pub value: String,
}

impl std::str::FromStr for Assignment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text
            .split_once('=')
            .ok_or("must be NAME=VALUE, as in BATCH_MAX=1")?;
        if value.contains('\0') {
            return Err("a value cannot hold a zero byte");
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// The names of all settings of a service, sorted.
pub(super) fn names(service: Service) -> Vec<String> {
    let variable = |name: &str| format!("{TUNING}{}", name.replace('.', "_").to_ascii_uppercase());
    let plain = COMMON.iter().chain(own(service));
    let plain = plain.map(|name| (*name).to_owned());
    let mut names: Vec<String> = plain.chain(TUNABLE.into_iter().map(variable)).collect();
    names.sort();
    names
}

/// Whether the service has a setting of this name; the error lists those it has.
pub fn known(service: Service, name: &str) -> Result<()> {
    let names = names(service);
    if names.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(Usage::error(format_args!(
        "{service} has no setting {name}; it has {}",
        names.join(", ")
    )))
}

/// The settings that every service reads in the same way, read as a service reads them.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Shared {
    #[command(flatten)]
    _consumer: ConsumerSettings,
    #[command(flatten)]
    faults: FaultSettings,
}

/// Refuses values that a service would refuse, as far as all services read them alike: better before the old process is
/// stopped than after. What only one service reads, it checks itself at start.
pub fn check(settings: &BTreeMap<String, String>) -> Result<()> {
    const CHECKED: [&str; 10] = [
        "BATCH_MAX",
        "CRASH_AT",
        "DELIVERY",
        "DRAIN_TIMEOUT",
        "POISON_LIMIT",
        "POISON_POLICY",
        "PROCESSING_TIME_MS",
        "PROTECTION_OFF",
        "SANDBOX_UNSAFE",
        "STATIC_MEMBERSHIP",
    ];
    let arguments = settings
        .iter()
        .filter(|(name, _)| CHECKED.contains(&name.as_str()))
        .map(|(name, value)| format!("--{}={value}", name.to_ascii_lowercase().replace('_', "-")));
    let shared =
        Shared::try_parse_from(arguments).map_err(|error| Usage::error(one_line(&error)))?;
    shared.faults.faults().map_err(Usage::error)?;
    ConsumerTuning::from_variables(settings.clone()).map_err(Usage::error)?;
    Ok(())
}

/// The whole environment of an instance: the defaults of this stack, then what was changed.
pub fn environment(
    sandbox: &Sandbox,
    service: Service,
    slot: u32,
    changed: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let kafka = sandbox.kafka();
    let mut variables = BTreeMap::from([
        ("PORT".to_owned(), sandbox.port(service, slot)?.to_string()),
        (
            "BIND_ADDR".to_owned(),
            sandbox.settings().bind_addr.to_string(),
        ),
        (
            "KAFKA_BOOTSTRAP_SERVERS".to_owned(),
            kafka.bootstrap_servers,
        ),
        ("NAME_PREFIX".to_owned(), kafka.name_prefix.to_string()),
        // A slot makes the transactional id stable: an instance started again fences its predecessor.
        ("SLOT".to_owned(), slot.to_string()),
    ]);
    if let Some(url) = sandbox.database_url(service) {
        variables.insert("DATABASE_URL".to_owned(), url);
    }
    variables.extend(changed.clone());
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_setting_that_a_service_does_not_have_is_refused_with_the_list_of_those_it_has() {
        known(Service::Inventory, "POISON_PRODUCT").unwrap();
        known(Service::Payment, "KAFKA_CONSUMER_FETCH_MIN_BYTES").unwrap();
        for (service, name) in [
            (Service::Payment, "POISON_PRODUCT"),
            (Service::Payment, "KAFKA_CONSUMER_ENABLE_AUTO_COMMIT"),
            (Service::Order, "PORT"),
            (Service::Order, "batch_max"),
        ] {
            let error = known(service, name).unwrap_err();
            assert!(error.is::<Usage>());
            let text = error.to_string();
            assert!(
                text.contains(name) && text.contains("BATCH_MAX") && text.contains("FETCH_MIN"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_value_that_every_service_would_refuse_is_refused_before_anything_is_stopped() {
        check(&settings(&[
            ("BATCH_MAX", "1"),
            ("DELIVERY", "at-least-once"),
        ]))
        .unwrap();
        check(&settings(&[
            ("SANDBOX_UNSAFE", "1"),
            ("PROTECTION_OFF", "outbox"),
        ]))
        .unwrap();
        for bad in [
            &[("BATCH_MAX", "0")][..],
            &[("PROCESSING_TIME_MS", "30001")],
            &[("DELIVERY", "maybe")],
            &[("PROTECTION_OFF", "outbox")],
            &[("SANDBOX_UNSAFE", "1"), ("CRASH_AT", "nowhere")],
            &[("STATIC_MEMBERSHIP", "yes")],
        ] {
            let error = check(&settings(bad)).unwrap_err();
            assert!(error.is::<Usage>(), "{bad:?}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn an_assignment_needs_a_name_and_may_have_an_empty_value() {
        let empty: Assignment = "POISON_PRODUCT=".parse().unwrap();
        assert_eq!(
            (empty.name.as_str(), empty.value.as_str()),
            ("POISON_PRODUCT", "")
        );
        assert!("POISON_PRODUCT".parse::<Assignment>().is_err());
    }
}
