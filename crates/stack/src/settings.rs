//! The settings of our programs: which can be changed from outside, and what an instance is started with.
//!
//! A program gets the environment written here and nothing of the person's shell, so that what `status` shows as changed is
//! all that is changed.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, Result};
use kafka_runtime::settings::TUNABLE;
use shared_events::Service;
use tokio::process::Command;

use crate::sandbox::Sandbox;
use crate::terminal::Usage;
use crate::workload::Workload;

/// What every program can be told.
const ANY: [&str; 3] = ["KAFKA_BOOTSTRAP_SERVERS", "LOG_FORMAT", "RUST_LOG"];

/// What any member of a consumer group can be told.
const CONSUMER: [&str; 10] = [
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

/// What one program can be told besides.
const fn own(workload: Workload) -> &'static [&'static str] {
    match workload {
        Workload::Service(Service::Order) => &["HTTP_QUEUE", "OUTBOX_LIMIT"],
        Workload::Service(Service::Payment) => &[],
        Workload::Service(Service::Inventory) => &["POISON_PRODUCT"],
        Workload::LoadGenerator => &[
            "AUTO_PRODUCE",
            "BATCH_SIZE",
            "DRAIN_TIMEOUT",
            "PRODUCTION_RATE_MS",
        ],
        Workload::LagMonitor => &[
            "GROUP",
            "LAG_THRESHOLD_CRITICAL",
            "LAG_THRESHOLD_WARNING",
            "POLL_INTERVAL_SECONDS",
            "TOPIC",
        ],
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

/// The names of all settings of a program, sorted.
pub(super) fn names(workload: Workload) -> Vec<String> {
    let variable = |name: &str| format!("{TUNING}{}", name.replace('.', "_").to_ascii_uppercase());
    let plain = ANY.iter().chain(own(workload));
    let mut names: Vec<String> = plain.map(|name| (*name).to_owned()).collect();
    if workload.service().is_some() {
        names.extend(CONSUMER.map(str::to_owned));
        names.extend(TUNABLE.into_iter().map(variable));
    }
    names.sort();
    names
}

/// Whether the program has a setting of this name; the error lists those it has.
pub fn known(workload: Workload, name: &str) -> Result<()> {
    let names = names(workload);
    if names.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(Usage::error(format_args!(
        "{workload} has no setting {name}; it has {}",
        names.join(", ")
    )))
}

/// Has the program itself read its settings, and refuses what it refuses: better before the old process is stopped than after.
pub async fn check(
    sandbox: &Sandbox,
    workload: impl Into<Workload>,
    changed: &BTreeMap<String, String>,
) -> Result<()> {
    let workload = workload.into();
    let binary = sandbox.binary(workload);
    let mut command = Command::new(&binary);
    command
        .arg("check")
        .env_clear()
        .envs(environment(sandbox, workload, 1, changed)?)
        .stdin(Stdio::null());
    let output = command
        .output()
        .await
        .with_context(|| format!("{} cannot be started", binary.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("error: ");
    Err(Usage::error(said.lines().collect::<Vec<_>>().join(" ")))
}

/// The whole environment of an instance: the defaults of this stack, then what was changed.
pub fn environment(
    sandbox: &Sandbox,
    workload: Workload,
    slot: u32,
    changed: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let kafka = sandbox.kafka();
    let mut variables = BTreeMap::from([
        ("PORT".to_owned(), sandbox.port(workload, slot)?.to_string()),
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
    if let Some(url) = workload.service().and_then(|one| sandbox.database_url(one)) {
        variables.insert("DATABASE_URL".to_owned(), url);
    }
    if workload == Workload::LoadGenerator {
        variables.insert("ORDER_URL".to_owned(), sandbox.url(Service::Order, 1)?);
    }
    if workload == Workload::LagMonitor {
        let generator = sandbox.url(Workload::LoadGenerator, 1)?;
        variables.insert("LOAD_GENERATOR_URL".to_owned(), generator);
    }
    let trace = &sandbox.settings().trace;
    if let (Some(_), Some(receiver)) = (workload.service(), &trace.otel_exporter_otlp_endpoint) {
        let ratio = trace.otel_traces_sampler_arg.to_string();
        variables.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), receiver.clone());
        variables.insert("OTEL_TRACES_SAMPLER_ARG".to_owned(), ratio);
    }
    variables.extend(changed.clone());
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_a_service_does_not_have_is_refused_with_the_list_of_those_it_has() {
        let [order, payment, inventory, generator, _] = Workload::ALL;
        known(inventory, "POISON_PRODUCT").unwrap();
        known(payment, "KAFKA_CONSUMER_FETCH_MIN_BYTES").unwrap();
        known(generator, "BATCH_SIZE").unwrap();
        for (workload, name, listed) in [
            (payment, "POISON_PRODUCT", "BATCH_MAX"),
            (payment, "KAFKA_CONSUMER_ENABLE_AUTO_COMMIT", "FETCH_MIN"),
            (order, "PORT", "BATCH_MAX"),
            (order, "batch_max", "BATCH_MAX"),
            (generator, "BATCH_MAX", "BATCH_SIZE"),
        ] {
            let error = known(workload, name).unwrap_err();
            assert!(error.is::<Usage>());
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(listed), "{text}");
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
