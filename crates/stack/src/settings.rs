//! The environment of a program: which settings `restart --set` can change, and all variables of an instance.
//!
//! An instance gets these variables and none of the person's shell, so `status` shows every setting that was changed.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, Result};
use kafka_admin::TUNABLE;
use shared_events::Service;
use tokio::process::Command;

use crate::instances_file::INSTANCES_FILE;
use crate::layout::StackLayout;
use crate::terminal::Usage;
use crate::workload::Workload;

const BOOTSTRAP_SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";

/// Settings of every program.
const COMMON: [&str; 3] = [BOOTSTRAP_SERVERS, "LOG_FORMAT", "RUST_LOG"];

/// Settings of every service.
const SERVICE: [&str; 10] = [
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

/// payment-service's setting for the base URL of the gateway.
pub const GATEWAY_URL: &str = "PAYMENT_GATEWAY_URL";

/// Settings of one program alone.
const fn own_settings(workload: Workload) -> &'static [&'static str] {
    match workload {
        Workload::Service(Service::Order) => &["HTTP_QUEUE", "OUTBOX_LIMIT"],
        Workload::Service(Service::Payment) => {
            &[GATEWAY_URL, "RETRY", "RETRY_BACKOFF_MS", "RETRY_MAX"]
        }
        Workload::Service(Service::Inventory) => &["POISON_PRODUCT"],
        Workload::LoadGenerator => &[
            "AUTO_PRODUCE",
            "BATCH_SIZE",
            "DRAIN_TIMEOUT",
            "PRODUCTION_RATE_MS",
        ],
        Workload::PaymentGateway => &["PAYMENT_LIMIT"],
        Workload::LagMonitor => &[
            "GROUP",
            "LAG_THRESHOLD_CRITICAL",
            "LAG_THRESHOLD_WARNING",
            "POLL_INTERVAL_SECONDS",
            "TOPIC",
        ],
    }
}

/// The prefix of librdkafka's consumer settings.
const CONSUMER_PREFIX: &str = "KAFKA_CONSUMER_";

/// A setting as typed: `NAME=VALUE`. The value may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The environment variable.
    pub name: String,
    /// The value.
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
pub(crate) fn setting_names(workload: Workload) -> Vec<String> {
    let variable = |name: &str| {
        format!(
            "{CONSUMER_PREFIX}{}",
            name.replace('.', "_").to_ascii_uppercase()
        )
    };
    let plain = COMMON.iter().chain(own_settings(workload));
    let mut names: Vec<String> = plain.map(|name| (*name).to_owned()).collect();
    if workload == Workload::PaymentGateway {
        // The only program that uses no broker.
        names.retain(|name| name != BOOTSTRAP_SERVERS);
    }
    if workload.service().is_some() {
        names.extend(SERVICE.map(str::to_owned));
        names.extend(TUNABLE.into_iter().map(variable));
    }
    names.sort();
    names
}

/// Fails if the program has no setting of this name; the error lists its settings.
pub fn require_known(workload: Workload, name: &str) -> Result<()> {
    let names = setting_names(workload);
    if names.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(Usage::error(format_args!(
        "{workload} has no setting {name}; it has {}",
        names.join(", ")
    )))
}

/// Runs the program's own check of its settings, and fails with its error text. A caller validates before it stops the old
/// process.
pub async fn validate(
    layout: &StackLayout,
    workload: impl Into<Workload>,
    changed: &BTreeMap<String, String>,
) -> Result<()> {
    let workload = workload.into();
    let binary = layout.binary(workload);
    let mut command = Command::new(&binary);
    command
        .arg("check")
        .env_clear()
        .envs(environment(layout, workload, 1, changed)?)
        .stdin(Stdio::null());
    let output = command
        .output()
        .await
        .with_context(|| format!("{} cannot be started", binary.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let message = message.trim().trim_start_matches("error: ");
    Err(Usage::error(message.lines().collect::<Vec<_>>().join(" ")))
}

/// The whole environment of an instance: the defaults of this stack, overridden by `changed`.
pub fn environment(
    layout: &StackLayout,
    workload: Workload,
    slot: u32,
    changed: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let kafka = layout.kafka();
    let mut variables = BTreeMap::from([
        ("PORT".to_owned(), layout.port(workload, slot)?.to_string()),
        (
            "BIND_ADDR".to_owned(),
            layout.settings().bind_addr.to_string(),
        ),
        (
            "KAFKA_BOOTSTRAP_SERVERS".to_owned(),
            kafka.bootstrap_servers,
        ),
        ("NAME_PREFIX".to_owned(), kafka.name_prefix.to_string()),
        // A slot makes the transactional id stable, so a restarted instance fences its predecessor.
        ("SLOT".to_owned(), slot.to_string()),
    ]);
    if let Some(url) = workload.service().and_then(|one| layout.database_url(one)) {
        variables.insert("DATABASE_URL".to_owned(), url);
    }
    if workload == Workload::LoadGenerator {
        variables.insert("ORDER_URL".to_owned(), layout.url(Service::Order, 1)?);
    }
    if workload == Workload::LagMonitor {
        let generator = layout.url(Workload::LoadGenerator, 1)?;
        variables.insert("LOAD_GENERATOR_URL".to_owned(), generator);
        // Relative to the working directory of a process of the stack.
        variables.insert("INSTANCES_FILE".to_owned(), INSTANCES_FILE.to_owned());
    }
    let trace = &layout.settings().trace;
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
    fn an_unknown_setting_is_refused_with_the_list_of_valid_ones() {
        let [order, payment, inventory, generator, _] = Workload::ALL;
        require_known(inventory, "POISON_PRODUCT").unwrap();
        require_known(payment, "KAFKA_CONSUMER_FETCH_MIN_BYTES").unwrap();
        require_known(generator, "BATCH_SIZE").unwrap();
        for (workload, name, listed) in [
            (payment, "POISON_PRODUCT", "BATCH_MAX"),
            (payment, "KAFKA_CONSUMER_ENABLE_AUTO_COMMIT", "FETCH_MIN"),
            (order, "PORT", "BATCH_MAX"),
            (order, "batch_max", "BATCH_MAX"),
            (generator, "BATCH_MAX", "BATCH_SIZE"),
        ] {
            let error = require_known(workload, name).unwrap_err();
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
