//! The settings that every Kafka service has. Their doc comments are the `--help`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use service_kit::settings::span;
use shared_events::controls::{BATCH_MAX_MAX, PROCESSING_TIME_MS_MAX};
use shared_events::{GroupControls, NamePrefix, OutOfBounds};

use crate::faults::{CrashAt, Faults, Protection};

/// How a batch is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeliveryMode {
    /// Events and offsets in one Kafka transaction: each consumed record is answered once to `read_committed` readers.
    ExactlyOnce,
    /// Events first, offsets after: events may be told again after a crash; effects still happen once.
    AtLeastOnce,
}

/// What a member does with a record that can never be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PoisonPolicy {
    /// Sets it aside in the dead-letter topic, together with its offset, and goes on.
    DeadLetter,
    /// Waits before it: its partition stands still until somebody acts. A lesson, not a recommendation.
    Block,
}

/// Which broker, and what the names on it begin with.
#[derive(Debug, Clone, Args)]
pub struct KafkaSettings {
    /// Addresses of brokers to ask first, as host:port with commas between
    #[arg(
        long,
        env = "KAFKA_BOOTSTRAP_SERVERS",
        default_value = "127.0.0.1:9092"
    )]
    pub bootstrap_servers: String,

    /// What stands before the names of topics, groups and transactional ids, so that a second stack can share a broker
    #[arg(long, env = "NAME_PREFIX", default_value = "")]
    pub name_prefix: NamePrefix,

    /// This instance's number within its service. Makes the transactional id stable, so that a restarted process fences its
    /// predecessor; without it the id is random
    #[arg(long, env = "SLOT", value_parser = clap::value_parser!(u32).range(1..=999))]
    pub slot: Option<u32>,
}

/// How a member of a consumer group behaves.
#[derive(Debug, Clone, Args)]
pub struct ConsumerSettings {
    /// How a batch is settled
    #[arg(long, env = "DELIVERY", value_enum, default_value = "exactly-once")]
    pub delivery: DeliveryMode,

    /// Most records taken in one batch; 1 is "each message" [default: 500, or 1 with a positive PROCESSING_TIME_MS]
    #[arg(long, env = "BATCH_MAX", value_parser = clap::value_parser!(u32).range(1..=i64::from(BATCH_MAX_MAX)))]
    pub batch_max: Option<u32>,

    /// Simulated work: milliseconds of waiting before a batch is processed [default: 0]
    #[arg(long, env = "PROCESSING_TIME_MS", value_parser = clap::value_parser!(u32).range(0..=i64::from(PROCESSING_TIME_MS_MAX)))]
    pub processing_time_ms: Option<u32>,

    /// What to do with a record that can never be taken
    #[arg(long, env = "POISON_POLICY", value_enum, default_value = "dead-letter")]
    pub poison_policy: PoisonPolicy,

    /// Poison records in a row after which the member stops and waits for `POST /resume`
    #[arg(long, env = "POISON_LIMIT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub poison_limit: u32,

    /// Makes SLOT the group.instance.id too: a restarted member is back without a rebalance of the others. Needs SLOT
    #[arg(long, env = "STATIC_MEMBERSHIP", default_value_t = false, action = clap::ArgAction::Set)]
    pub static_membership: bool,

    /// How long the last batch may take after SIGTERM, before it is given up
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "10s", value_parser = span(0, 600))]
    pub drain_timeout: Duration,
}

impl ConsumerSettings {
    /// What of it can be changed while the member runs.
    pub(crate) fn controls(&self) -> GroupControls {
        GroupControls {
            processing_time_ms: self.processing_time_ms,
            batch_max: self.batch_max,
            paused: None,
        }
    }
}

/// What is broken on purpose. All of it is refused unless `SANDBOX_UNSAFE=1`.
#[derive(Debug, Clone, Args)]
pub struct FaultSettings {
    /// Allows PROTECTION_OFF and CRASH_AT
    #[arg(long, env = "SANDBOX_UNSAFE", default_value = "0", value_parser = ["0", "1"])]
    pub sandbox_unsafe: String,

    /// Switches one protection off, to see what it was good for
    #[arg(long, env = "PROTECTION_OFF")]
    pub protection_off: Option<Protection>,

    /// Kills this process at the n-th pass of a crash point: relay-after-publish:3
    #[arg(long, env = "CRASH_AT")]
    pub crash_at: Option<CrashAt>,
}

impl FaultSettings {
    /// The faults asked for, each said as an error in the log; or why they are refused.
    pub fn faults(&self) -> Result<Faults, OutOfBounds> {
        if self.protection_off.is_none() && self.crash_at.is_none() {
            return Ok(Faults::default());
        }
        if self.sandbox_unsafe != "1" {
            return Err(OutOfBounds(
                "PROTECTION_OFF and CRASH_AT need SANDBOX_UNSAFE=1",
            ));
        }
        if let Some(protection) = self.protection_off {
            tracing::error!(%protection, "a protection is off, on purpose: this process will break its guarantees");
        }
        if let Some(crash) = &self.crash_at {
            tracing::error!(?crash, "this process will kill itself, on purpose");
        }
        Ok(Faults::new(self.protection_off, self.crash_at))
    }
}

/// The librdkafka consumer settings that `KAFKA_CONSUMER_<NAME>` may change: those of the lessons on fetching and on
/// membership. The others hold the guarantees up.
pub const TUNABLE: [&str; 9] = [
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "session.timeout.ms",
];

const TUNING_PREFIX: &str = "KAFKA_CONSUMER_";

/// Consumer settings changed by the environment: librdkafka's name and the value. librdkafka itself checks the values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerTuning(BTreeMap<&'static str, String>);

impl ConsumerTuning {
    /// Those among the given variables whose name begins with `KAFKA_CONSUMER_`; the rest of the name is librdkafka's, in
    /// capitals and with `_` for `.`. A name that is not on the list is an error that names the list; an empty variable counts
    /// as not set.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, String> {
        let mut changed = BTreeMap::new();
        for (variable, value) in variables {
            let Some(rest) = variable.strip_prefix(TUNING_PREFIX) else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            let name = rest.to_ascii_lowercase().replace('_', ".");
            let Some(known) = TUNABLE.into_iter().find(|known| *known == name) else {
                return Err(format!(
                    "{variable}: only these can be changed: {}",
                    TUNABLE.join(", ")
                ));
            };
            changed.insert(known, value);
        }
        Ok(Self(changed))
    }

    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_consumer_setting_counts_as_not_set() {
        let variables = [
            ("KAFKA_CONSUMER_FETCH_MIN_BYTES", ""),
            ("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", "7000"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let tuning = ConsumerTuning::from_variables(variables).unwrap();
        let set: Vec<_> = tuning.iter().collect();
        assert_eq!(set, [("session.timeout.ms", "7000")]);
    }
}
