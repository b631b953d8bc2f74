//! The settings of every Kafka service. Their doc comments are the `--help`.

use std::collections::BTreeMap;

use clap::Args;
use service_kit::settings::{DrainSettings, whole_number};
use shared_events::controls::{BATCH_MAX_MAX, PROCESSING_TIME_MS_MAX};
use shared_events::{CrashAt, GroupControls, NamePrefix, OrNone, OutOfBounds, Protection};

use crate::faults::{Faults, log_crash, log_protection};

/// How a batch is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeliveryMode {
    /// Events and offsets in one Kafka transaction: `read_committed` readers see the events of each record once
    ExactlyOnce,
    /// Events first, offsets after: events may be published again after a crash; database writes still happen once
    AtLeastOnce,
}

/// The default of `POISON_LIMIT`.
pub const DEFAULT_POISON_LIMIT: u32 = 50;

/// What a member does with a poison record, which can never be processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PoisonPolicy {
    /// Sends it to the dead-letter topic, commits its offset with it, and goes on
    DeadLetter,
    /// Blocks its partition at the offset of the record until a person acts. For the lesson; not for production
    Block,
}

/// Which broker, and the prefix of all names on it.
#[derive(Debug, Clone, Args)]
pub struct KafkaSettings {
    /// Bootstrap addresses of brokers: host:port, separated by commas
    #[arg(
        long,
        env = "KAFKA_BOOTSTRAP_SERVERS",
        default_value = "127.0.0.1:9092"
    )]
    pub bootstrap_servers: String,

    /// Prefix of the names of topics, groups and transactional ids, so that a second stack can share a broker
    #[arg(long, env = "NAME_PREFIX", default_value = "")]
    pub name_prefix: NamePrefix,

    /// This instance's number within its service. Makes the transactional id stable, so that a restarted process fences its
    /// predecessor; without it the id is random
    #[arg(long, env = "SLOT", value_parser = whole_number::<u32>(1..=999))]
    pub slot: Option<u32>,
}

/// How a member of a consumer group behaves.
#[derive(Debug, Clone, Args)]
pub struct ConsumerSettings {
    /// How a batch is committed
    #[arg(long, env = "DELIVERY", value_enum, default_value = "exactly-once")]
    pub delivery: DeliveryMode,

    /// Largest number of records in a batch; 1 means one by one [default: 500, or 1 with a positive PROCESSING_TIME_MS]
    #[arg(long, env = "BATCH_MAX", value_parser = whole_number::<u32>(1..=i64::from(BATCH_MAX_MAX)))]
    pub batch_max: Option<u32>,

    /// Simulated work: milliseconds of waiting before a batch is processed [default: 0]
    #[arg(long, env = "PROCESSING_TIME_MS", value_parser = whole_number::<u32>(0..=i64::from(PROCESSING_TIME_MS_MAX)))]
    pub processing_time_ms: Option<u32>,

    /// What to do with a poison record, which can never be processed
    #[arg(long, env = "POISON_POLICY", value_enum, default_value = "dead-letter")]
    pub poison_policy: PoisonPolicy,

    /// Poison records in a row after which the member halts until `POST /resume`
    #[arg(long, env = "POISON_LIMIT", default_value_t = DEFAULT_POISON_LIMIT, value_parser = whole_number::<u32>(1..=10_000))]
    pub poison_limit: u32,

    /// Uses SLOT for the group.instance.id too: a restarted member comes back without a rebalance. Needs SLOT, and the
    /// protocol classic
    #[arg(long, env = "STATIC_MEMBERSHIP", default_value_t = false, action = clap::ArgAction::Set)]
    pub static_membership: bool,

    /// The setting of the drain.
    #[command(flatten)]
    pub drain: DrainSettings,
}

impl ConsumerSettings {
    /// The settings that can be changed while the member runs.
    pub(crate) fn controls(&self) -> GroupControls {
        GroupControls {
            processing_time_ms: self.processing_time_ms,
            batch_max: self.batch_max,
            ..GroupControls::default()
        }
    }

    /// # Errors
    /// A static member that would have no name, or could not come back after a crash.
    pub(crate) fn require_rejoin(
        &self,
        kafka: &KafkaSettings,
        tuning: &ConsumerTuning,
    ) -> Result<(), String> {
        if self.static_membership && kafka.slot.is_none() {
            return Err(
                "STATIC_MEMBERSHIP needs SLOT: the group.instance.id is made of it".to_owned(),
            );
        }
        if self.static_membership && tuning.uses_consumer_protocol() {
            // librdkafka treats UNRELEASED_INSTANCE_ID as fatal, so every restart within the session time-out would end.
            return Err(format!(
                "STATIC_MEMBERSHIP cannot be set with {}={CONSUMER_PROTOCOL}: after a crash the broker would refuse the restarted member until the session time-out",
                variable(GROUP_PROTOCOL)
            ));
        }
        Ok(())
    }
}

/// Faults on purpose. They are refused unless `SANDBOX_UNSAFE=1`.
#[derive(Debug, Clone, Args)]
pub struct FaultSettings {
    /// Allows PROTECTION_OFF and CRASH_AT, here and in the topic of controls
    #[arg(long, env = "SANDBOX_UNSAFE", default_value = "0", value_parser = ["0", "1"])]
    pub sandbox_unsafe: String,

    /// Switches one protection off, to show what it protects from
    #[arg(long, env = "PROTECTION_OFF", default_value = "none")]
    pub protection_off: OrNone<Protection>,

    /// Kills this process at the n-th pass of a crash point: relay-after-publish:3
    #[arg(long, env = "CRASH_AT", default_value = "none")]
    pub crash_at: OrNone<CrashAt>,
}

impl FaultSettings {
    /// The faults that are set. Each is logged as an error.
    ///
    /// # Errors
    /// A fault is set without `SANDBOX_UNSAFE=1`.
    pub fn faults(&self) -> Result<Faults, OutOfBounds> {
        let (off, crash) = (self.protection_off.0, self.crash_at.0);
        if self.sandbox_unsafe != "1" {
            return match (off, crash) {
                (None, None) => Ok(Faults::default()),
                _ => Err(OutOfBounds(
                    "PROTECTION_OFF and CRASH_AT need SANDBOX_UNSAFE=1",
                )),
            };
        }
        log_protection(off);
        log_crash(crash);
        Ok(Faults::new(off, crash))
    }
}

/// The librdkafka consumer settings that `KAFKA_CONSUMER_<NAME>` may change: those of the lessons on fetching and on
/// membership. The guarantees depend on the others.
pub const TUNABLE: [&str; 11] = [
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    GROUP_PROTOCOL,
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    ASSIGNMENT_STRATEGY,
    "queued.max.messages.kbytes",
    "queued.min.messages",
    SESSION_TIMEOUT,
];

const TUNING_PREFIX: &str = "KAFKA_CONSUMER_";

/// Who assigns the partitions of a group: a member (`classic`), or the broker (`consumer`, KIP-848).
const GROUP_PROTOCOL: &str = "group.protocol";

/// How a member assigns the partitions of its group. All members must have the same.
const ASSIGNMENT_STRATEGY: &str = "partition.assignment.strategy";

const SESSION_TIMEOUT: &str = "session.timeout.ms";

/// The protocol whose groups are assigned by the broker.
const CONSUMER_PROTOCOL: &str = "consumer";

/// The settings whose values are names. librdkafka would refuse another strategy only when the client is created.
const CHOICES: [(&str, &[&str]); 2] = [
    (GROUP_PROTOCOL, &["classic", CONSUMER_PROTOCOL]),
    (
        ASSIGNMENT_STRATEGY,
        &["range", "roundrobin", "cooperative-sticky"],
    ),
];

/// With the protocol `consumer` these are the broker's: `group.consumer.session.timeout.ms`, and the assignor of the group.
const OF_CLASSIC_PROTOCOL: [&str; 2] = [ASSIGNMENT_STRATEGY, SESSION_TIMEOUT];

/// The variable of librdkafka's setting.
fn variable(setting: &str) -> String {
    let name = setting.replace('.', "_").to_ascii_uppercase();
    format!("{TUNING_PREFIX}{name}")
}

/// Consumer settings that the environment changes: librdkafka's name and the value. librdkafka checks numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerTuning(BTreeMap<&'static str, String>);

impl ConsumerTuning {
    /// Takes the variables whose name begins with `KAFKA_CONSUMER_`. The rest of the name is librdkafka's, in capitals and with
    /// `_` for `.`. An empty variable counts as not set.
    ///
    /// # Errors
    /// A name that is not in [`TUNABLE`] (the error lists the names of [`TUNABLE`]), an unknown protocol or strategy, or a setting
    /// that the protocol does not have.
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
            let choices = CHOICES.iter().find(|(setting, _)| *setting == known);
            if let Some((_, choices)) = choices
                && !choices.contains(&value.as_str())
            {
                let choices = choices.join(", ");
                return Err(format!("{variable}={value}: the value is one of {choices}"));
            }
            changed.insert(known, value);
        }
        let tuning = Self(changed);
        let of_classic = OF_CLASSIC_PROTOCOL.iter();
        let mut refused = of_classic.filter(|setting| tuning.0.contains_key(*setting));
        match refused.next() {
            Some(setting) if tuning.uses_consumer_protocol() => Err(format!(
                "{} cannot be set with {}={CONSUMER_PROTOCOL}: with this protocol the broker decides it",
                variable(setting),
                variable(GROUP_PROTOCOL)
            )),
            _ => Ok(tuning),
        }
    }

    /// Whether the broker assigns the partitions of the group (KIP-848).
    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.0.get(GROUP_PROTOCOL).map(String::as_str) == Some(CONSUMER_PROTOCOL)
    }

    /// librdkafka's name and the value of each setting.
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

    fn tuning(variables: &[(&str, &str)]) -> Result<ConsumerTuning, String> {
        let variables = variables.iter();
        ConsumerTuning::from_variables(
            variables.map(|(name, value)| (format!("KAFKA_CONSUMER_{name}"), (*value).to_owned())),
        )
    }

    #[test]
    fn a_protocol_is_set_without_what_the_broker_decides() {
        let protocol = ("GROUP_PROTOCOL", "consumer");
        assert!(tuning(&[protocol]).unwrap().uses_consumer_protocol());
        for (variables, says) in [
            (&[("GROUP_PROTOCOL", "next")][..], "classic, consumer"),
            (
                &[("PARTITION_ASSIGNMENT_STRATEGY", "sticky")],
                "range, roundrobin, cooperative-sticky",
            ),
            (
                &[protocol, ("PARTITION_ASSIGNMENT_STRATEGY", "range")],
                "KAFKA_CONSUMER_PARTITION_ASSIGNMENT_STRATEGY cannot be set with KAFKA_CONSUMER_GROUP_PROTOCOL=consumer",
            ),
            (
                &[("SESSION_TIMEOUT_MS", "7000"), protocol],
                "KAFKA_CONSUMER_SESSION_TIMEOUT_MS cannot be set",
            ),
        ] {
            let error = tuning(variables).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let classic = ("GROUP_PROTOCOL", "classic");
        let range = ("PARTITION_ASSIGNMENT_STRATEGY", "range");
        tuning(&[classic, range, ("SESSION_TIMEOUT_MS", "7000")]).unwrap();
    }
}
