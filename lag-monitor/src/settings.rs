//! What lag-monitor can be told.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use cluster_reader::judge::Thresholds;
use kafka_runtime::KafkaSettings;
use reqwest::Url;
use service_kit::HttpSettings;
use service_kit::settings::WrongSettings;
use shared_events::NamePrefix;

use crate::watch::Pair;

/// Most bytes of a group's or topic's name that is a setting: as Kafka bounds topics.
const LONGEST_NAME: usize = 249;

/// Tells how far behind each consumer group is, and why. Joins none.
#[derive(Debug, Clone, Parser)]
#[command(name = "lag-monitor", version)]
pub struct Settings {
    /// Port to listen on; 0 takes any free one
    #[arg(long, env = "PORT", default_value_t = 8010)]
    pub port: u16,

    /// How often the cluster is read, seconds
    #[arg(long, env = "POLL_INTERVAL_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=300))]
    pub poll_interval_seconds: u32,

    /// Unread records from which a group is in the state warning
    #[arg(long, env = "LAG_THRESHOLD_WARNING", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1_000_000_000_000))]
    pub lag_threshold_warning: i64,

    /// Unread records from which it is critical; not below the other
    #[arg(long, env = "LAG_THRESHOLD_CRITICAL", default_value_t = 500, value_parser = clap::value_parser!(i64).range(1..=1_000_000_000_000))]
    pub lag_threshold_critical: i64,

    /// The group that the calls are about unless they name another
    #[arg(long, env = "GROUP", default_value = "inventory-service-group", value_parser = name)]
    pub group: String,

    /// The topic that the calls are about unless they name another
    #[arg(long, env = "TOPIC", default_value = "payments", value_parser = name)]
    pub topic: String,

    /// How the system runs: which commands can be recommended depends on it
    #[arg(long, env = "SANDBOX_WAY", value_enum, default_value = "local")]
    pub sandbox_way: Way,

    /// Where load-generator is: the page's bursts are asked of it
    #[arg(long, env = "LOAD_GENERATOR_URL", default_value = "http://127.0.0.1:8000", value_parser = http_url)]
    pub load_generator_url: Url,

    /// Where to listen and how to log
    #[command(flatten)]
    pub http: HttpSettings,

    /// Which broker
    #[command(flatten)]
    pub kafka: KafkaSettings,
}

/// How the system runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// As processes of this machine.
    Local,
    /// In containers, where only inventory-service can be scaled.
    Docker,
}

impl Settings {
    /// Checks the rules between the settings. What comes out is from when on a group is in trouble.
    pub fn validate(&self) -> Result<Thresholds, WrongSettings> {
        let (warning, critical) = (self.lag_threshold_warning, self.lag_threshold_critical);
        Thresholds::new(warning, critical).ok_or_else(|| {
            WrongSettings(format!(
                "LAG_THRESHOLD_WARNING is {warning} and LAG_THRESHOLD_CRITICAL {critical}: the first must not be the higher"
            ))
        })
    }

    /// How often the cluster is read.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.poll_interval_seconds.into())
    }

    /// What the calls are about unless they name another, by the names on the broker.
    pub fn pair(&self) -> Pair {
        let prefix = &self.kafka.name_prefix;
        Pair {
            group: with_prefix(prefix, &self.group),
            topic: with_prefix(prefix, &self.topic),
        }
    }
}

/// The name on the broker: a name that does not begin with this stack's prefix gets it.
pub fn with_prefix(prefix: &NamePrefix, name: &str) -> String {
    match name.starts_with(&prefix.to_string()) {
        true => name.to_owned(),
        false => prefix.name(name),
    }
}

fn name(text: &str) -> Result<String, String> {
    match (1..=LONGEST_NAME).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be a name of 1 to {LONGEST_NAME} bytes")),
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
    fn the_first_threshold_must_not_be_the_higher() {
        let right = settings(&["--lag-threshold-warning=5", "--lag-threshold-critical=5"]);
        assert!(right.unwrap().validate().is_ok());
        let wrong = settings(&["--lag-threshold-warning=600"]).unwrap();
        let said = wrong.validate().unwrap_err().to_string();
        for part in [
            "600",
            "500",
            "LAG_THRESHOLD_WARNING",
            "LAG_THRESHOLD_CRITICAL",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn numbers_and_names_are_bounded() {
        for wrong in [
            "--poll-interval-seconds=0",
            "--poll-interval-seconds=301",
            "--lag-threshold-warning=0",
            "--lag-threshold-critical=1000000000001",
            "--group=",
            "--sandbox-way=vm",
            "--load-generator-url=127.0.0.1:8000",
            "--load-generator-url=https://localhost",
        ] {
            assert!(settings(&[wrong]).is_err(), "{wrong}");
        }
        let long = format!("--topic={}", "a".repeat(250));
        assert!(settings(&[&long]).is_err());
    }

    #[test]
    fn a_name_without_the_prefix_gets_it() {
        let given = ["--name-prefix=b-", "--topic=b-orders"];
        let pair = settings(&given).unwrap().pair();
        assert_eq!(pair.group, "b-inventory-service-group");
        assert_eq!(pair.topic, "b-orders");
    }
}
