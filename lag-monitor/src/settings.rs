//! Command-line options and environment variables.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cluster_reader::group_health::Thresholds;
use kafka_admin::KafkaSettings;
use reqwest::Url;
use service_kit::settings::{InvalidSettings, port, whole_number};
use service_kit::{HttpSettings, Mode};
use shared_events::NamePrefix;

use crate::instances::{InstanceHost, InstanceSource};
use crate::lag_state::GroupTopic;

/// Most bytes of a group's or topic's name in a setting: Kafka's own limit for topics.
const MAX_NAME_BYTES: usize = 249;

/// Reports the lag of every consumer group and the reason for it. Joins no group.
#[derive(Debug, Clone, Parser)]
#[command(name = "lag-monitor", version)]
pub struct Settings {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 8010, value_parser = port)]
    pub port: u16,

    /// Seconds from one poll of the cluster to the next
    #[arg(long, env = "POLL_INTERVAL_SECONDS", default_value_t = 5, value_parser = whole_number::<u32>(1..=300))]
    pub poll_interval_seconds: u32,

    /// Lag, in records, from which a group has the status warning
    #[arg(long, env = "LAG_THRESHOLD_WARNING", default_value_t = 100, value_parser = whole_number::<i64>(1..=1_000_000_000_000_i64))]
    pub lag_threshold_warning: i64,

    /// Lag, in records, from which a group has the status critical; not below the threshold for
    /// warning
    #[arg(long, env = "LAG_THRESHOLD_CRITICAL", default_value_t = 500, value_parser = whole_number::<i64>(1..=1_000_000_000_000_i64))]
    pub lag_threshold_critical: i64,

    /// Consumer group of requests without ?group=
    #[arg(long, env = "GROUP", default_value = "inventory-service-group", value_parser = name)]
    pub group: String,

    /// Topic of requests without ?topic=
    #[arg(long, env = "TOPIC", default_value = "payments", value_parser = name)]
    pub topic: String,

    /// How the services run; decides which commands are recommended
    #[arg(long, env = "SANDBOX_MODE", value_enum, default_value = "local")]
    pub mode: Mode,

    /// Base URL of load-generator, which receives the bursts of the page
    #[arg(long, env = "LOAD_GENERATOR_URL", default_value = "http://127.0.0.1:8000", value_parser = http_url)]
    pub load_generator_url: Url,

    /// File with the instances of the services, which are asked for their state: a line for each,
    /// as in `inventory-service.2 http://127.0.0.1:8002`. Read again at each poll
    #[arg(long, env = "INSTANCES_FILE", value_name = "FILE")]
    pub instances_file: Option<PathBuf>,

    /// Hosts of the services, which are asked for their state, as in
    /// order-service:3000,inventory-service:8001. Each address of a host is an instance. Looked up
    /// again at each poll
    #[arg(
        long,
        env = "INSTANCE_HOSTS",
        value_delimiter = ',',
        conflicts_with = "instances_file",
        value_name = "HOST:PORT"
    )]
    pub instance_hosts: Vec<InstanceHost>,

    #[command(flatten)]
    pub http: HttpSettings,

    #[command(flatten)]
    pub kafka: KafkaSettings,
}

impl Settings {
    /// Checks the rules between settings, and returns the thresholds.
    pub fn validate(&self) -> Result<Thresholds, InvalidSettings> {
        let (warning, critical) = (self.lag_threshold_warning, self.lag_threshold_critical);
        Thresholds::new(warning, critical).ok_or_else(|| {
            InvalidSettings(format!(
                "LAG_THRESHOLD_WARNING is {warning} and LAG_THRESHOLD_CRITICAL is {critical}: the warning threshold must not be above the critical one"
            ))
        })
    }

    pub fn poll_interval(&self) -> Duration {
        Duration::from_secs(self.poll_interval_seconds.into())
    }

    /// Where the list of instances is.
    pub fn instance_source(&self) -> InstanceSource {
        match &self.instances_file {
            Some(path) => InstanceSource::File(path.clone()),
            None if self.instance_hosts.is_empty() => InstanceSource::None,
            None => InstanceSource::Hosts(self.instance_hosts.clone()),
        }
    }

    /// The pair of requests that name no group, by its names on the broker.
    pub fn default_group_topic(&self) -> GroupTopic {
        let prefix = &self.kafka.name_prefix;
        GroupTopic {
            group: with_prefix(prefix, &self.group),
            topic: with_prefix(prefix, &self.topic),
        }
    }
}

/// The name on the broker: the prefix is added to a name that does not begin with it.
fn with_prefix(prefix: &NamePrefix, name: &str) -> String {
    match name.starts_with(&prefix.to_string()) {
        true => name.to_owned(),
        false => prefix.name(name),
    }
}

fn name(text: &str) -> Result<String, String> {
    match (1..=MAX_NAME_BYTES).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be a name of 1 to {MAX_NAME_BYTES} bytes")),
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    let url: Option<Url> = text.parse().ok();
    let http = url.filter(|url| url.scheme() == "http" && url.has_host());
    http.ok_or_else(|| "must be a URL like http://127.0.0.1:8000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, clap::Error> {
        Settings::try_parse_from(std::iter::once("lag-monitor").chain(arguments.iter().copied()))
    }

    #[test]
    fn the_warning_threshold_must_not_be_above_the_critical_one() {
        let valid = settings(&["--lag-threshold-warning=5", "--lag-threshold-critical=5"]);
        assert!(valid.unwrap().validate().is_ok());
        let invalid = settings(&["--lag-threshold-warning=600"]).unwrap();
        let error = invalid.validate().unwrap_err().to_string();
        for part in [
            "600",
            "500",
            "LAG_THRESHOLD_WARNING",
            "LAG_THRESHOLD_CRITICAL",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn numbers_and_names_are_bounded() {
        for invalid in [
            "--poll-interval-seconds=0",
            "--poll-interval-seconds=301",
            "--lag-threshold-warning=0",
            "--lag-threshold-critical=1000000000001",
            "--group=",
            "--mode=vm",
            "--load-generator-url=127.0.0.1:8000",
            "--load-generator-url=https://localhost",
            "--instance-hosts=order-service",
            "--instance-hosts=order-service:3000,",
        ] {
            assert!(settings(&[invalid]).is_err(), "{invalid}");
        }
        let long = format!("--topic={}", "a".repeat(250));
        assert!(settings(&[&long]).is_err());
    }

    #[test]
    fn instances_are_listed_in_a_file_or_found_by_host() {
        let source = |arguments: &[&str]| Ok(settings(arguments)?.instance_source());
        let none: Result<_, clap::Error> = source(&[]);
        assert_eq!(none.unwrap(), InstanceSource::None);
        let hosts = source(&["--instance-hosts=order-service:3000,inventory-service:8001"]);
        let expected = ["order-service:3000", "inventory-service:8001"];
        let expected = expected.map(|host| host.parse().unwrap()).to_vec();
        assert_eq!(hosts.unwrap(), InstanceSource::Hosts(expected));
        let both = source(&["--instances-file=a", "--instance-hosts=order-service:3000"]);
        assert!(both.is_err());
    }

    #[test]
    fn the_prefix_is_added_to_a_name_that_lacks_it() {
        let given = ["--name-prefix=b-", "--topic=b-orders"];
        let pair = settings(&given).unwrap().default_group_topic();
        assert_eq!(pair.group, "b-inventory-service-group");
        assert_eq!(pair.topic, "b-orders");
    }
}
