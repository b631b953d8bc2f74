//! `sandbox topics create`, `grow` and `delete`. A consequence of a change is printed before the change.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};
use kafka_admin::topic_admin::TopicSpec;
use kafka_admin::topics::{ConfigDifference, CreateOutcome};
use kafka_admin::{Cluster, partition_of};
use scenario_runner::conditions::{Observation, until};
use service_kit::settings::{duration_between, whole_number};
use shared_events::{OrderId, Topic};
use stack::terminal::{Usage, counted, note, say};

use super::topic_name;

/// The time limit of one try to reach the broker.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The highest number of partitions of a topic. One broker on one machine handles these easily.
const MOST_PARTITIONS: i64 = 1_000;

/// The topic to create, and how long to wait for the broker.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics create\n  ./sandbox topics create --within 60s     works while the broker is still starting\n  ./sandbox topics create clicks --partitions 6 --config retention.ms=3600000\n\nA topic that exists with the same settings is no error. A topic that exists with other settings is left unchanged, with exit code 1."
)]
pub struct Create {
    /// The topic [default: all topics of the shop]
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: Option<String>,

    /// The number of partitions [default: the shop's own number, or 3]
    #[arg(long, value_name = "N", requires = "name", value_parser = whole_number::<i32>(1..=MOST_PARTITIONS))]
    partitions: Option<i32>,

    /// A setting under Kafka's name; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", requires = "name")]
    config: Vec<Setting>,

    /// Retry for this time while the broker cannot be reached [default: one try]
    #[arg(long, value_parser = duration_between(0, 3_600))]
    within: Option<Duration>,

    /// A topic of the shop with other settings is no failure: a person may have grown it
    #[arg(long, conflicts_with = "name")]
    lenient: bool,
}

/// The topic to grow.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:  ./sandbox topics grow payments --partitions 6\n\nThis cannot be undone: Kafka cannot remove partitions."
)]
pub struct Grow {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: String,

    /// The new number of partitions
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(1..=MOST_PARTITIONS))]
    partitions: u32,
}

/// The topic to delete.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics delete clicks           shows what would be lost\n  ./sandbox topics delete clicks --yes"
)]
pub struct Delete {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: String,

    /// Delete; without this option, only show what would be lost
    #[arg(long)]
    yes: bool,
}

/// `retention.ms=3600000`
#[derive(Debug, Clone)]
struct Setting {
    name: String,
    value: String,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = "must be NAME=VALUE, as in retention.ms=3600000";
        let (name, value) = text.split_once('=').ok_or(invalid)?;
        let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        match name.is_empty() || !text.bytes().all(fits) {
            true => Err(invalid),
            false => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
        }
    }
}

pub(super) async fn create(args: Create, cluster: &Cluster) -> Result<()> {
    if let Some(within) = args.within {
        let look = async || {
            cluster.ping(PING_TIMEOUT).await?;
            Ok(Observation::Holds(String::new()))
        };
        until(within, look).await?;
    }
    match args.name {
        None => create_all(args.lenient, cluster).await,
        Some(name) => {
            let mut config = BTreeMap::new();
            for Setting { name, value } in args.config {
                if config.insert(name.clone(), value).is_some() {
                    return Err(Usage::error(format_args!("--config {name} is given twice")));
                }
            }
            let spec = TopicSpec {
                name: cluster.topic_name(&name),
                partitions: args.partitions,
                config,
            };
            create_one(&spec, cluster).await
        }
    }
}

async fn create_all(lenient: bool, cluster: &Cluster) -> Result<()> {
    let mut differing = Vec::new();
    for (topic, outcome) in cluster.create_topics(&Topic::ALL, None).await? {
        let name = cluster.prefix().topic(topic);
        if let Some(differences) = show_outcome(&name, outcome) {
            differing.push(name);
            differences
                .iter()
                .for_each(|difference| note(format_args!("  {difference}")));
        }
    }
    if differing.is_empty() || lenient {
        return Ok(());
    }
    bail!(
        "other settings than the shop expects: {}; ./sandbox reset recreates the topics",
        differing.join(", ")
    );
}

async fn create_one(spec: &TopicSpec, cluster: &Cluster) -> Result<()> {
    let outcome = cluster.create_topic(spec).await?;
    let Some(differences) = show_outcome(&spec.name, outcome) else {
        return Ok(());
    };
    let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    bail!(
        "{} exists with other settings, and was left unchanged: {}",
        spec.name,
        differences.join("; ")
    );
}

/// Prints the outcome, and returns the differences of a topic that exists with other settings.
fn show_outcome(name: &str, outcome: CreateOutcome) -> Option<Vec<ConfigDifference>> {
    match outcome {
        CreateOutcome::Created => say(format_args!("{name} created")),
        CreateOutcome::Exists => say(format_args!("{name} exists")),
        CreateOutcome::Differs(differences) => {
            say(format_args!("{name} exists, but differs"));
            return Some(differences);
        }
    }
    None
}

pub(super) async fn grow(args: Grow, cluster: &Cluster) -> Result<()> {
    let name = cluster.topic_name(&args.name);
    let count = cluster.describe_topic(&name).await?.partitions.len();
    let has = u32::try_from(count)?;
    let wanted = args.partitions;
    if wanted < has {
        bail!(
            "{name} has {}, and cannot have fewer: Kafka cannot move the records of removed partitions. To get fewer, delete the topic and create it again",
            counted(count, "partition")
        );
    }
    if wanted == has {
        say(format_args!("{name} has {}", counted(count, "partition")));
        return Ok(());
    }
    if cluster.prefix().topic_of(&name) == Some(Topic::Controls) {
        bail!(
            "{name} keeps its one partition, so that all members read its records in the same order"
        );
    }
    note(format_args!(
        "{name}: from {has} to {wanted} partitions. This cannot be undone. Existing records stay in their partitions."
    ));
    if let Some((key, before, after)) = example(has, wanted) {
        note(format_args!(
            "But some keys move. {key}, for example, goes to partition {after} instead of {before}: its new records may be read before its old ones in {before}."
        ));
    }
    cluster.add_partitions(&name, wanted).await?;
    say(format_args!("{name} has {wanted} partitions"));
    note("Consumers and producers see the new partitions within 5 s.");
    Ok(())
}

/// A key whose partition changes, with its partition before and after.
fn example(before: u32, after: u32) -> Option<(String, u32, u32)> {
    let keys = std::iter::repeat_with(|| OrderId::now().to_string()).take(1_000);
    let mut moved = keys.filter_map(|key| {
        let from = partition_of(key.as_bytes(), before);
        let to = partition_of(key.as_bytes(), after);
        (from != to).then_some((key, from, to))
    });
    moved.next()
}

pub(super) async fn delete(args: Delete, cluster: &Cluster) -> Result<()> {
    let name = cluster.topic_name(&args.name);
    let topic = cluster.describe_topic(&name).await?;
    let (partitions, records) = (topic.partitions.len(), topic.records_at_most());
    note(format_args!(
        "{name}: {} with at most {}, lost for ever with the committed offsets of all groups.",
        counted(partitions, "partition"),
        counted(usize::try_from(records)?, "record")
    ));
    if let Some(own) = cluster.prefix().topic_of(&name) {
        note(format_args!(
            "The shop needs {own}: ./sandbox topics create creates it again, empty."
        ));
    }
    if !args.yes {
        return Err(Usage::error("nothing was deleted: --yes deletes the topic"));
    }
    cluster.delete_topic(&name).await?;
    say(format_args!("{name} deleted"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_growing_is_a_key_that_moves() {
        let (key, from, to) = example(3, 6).unwrap();
        assert_ne!(from, to);
        // From 3 to 6 partitions, a key stays or moves by 3.
        assert_eq!(from + 3, to, "{key}");
    }

    #[test]
    fn a_setting_is_a_name_and_a_value_of_visible_characters() {
        assert!("cleanup.policy=compact,delete".parse::<Setting>().is_ok());
        assert!("retention.ms=".parse::<Setting>().is_ok());
        for bad in ["", "=1", "retention.ms", "a=\u{1b}[0m"] {
            assert!(bad.parse::<Setting>().is_err(), "{bad:?}");
        }
    }
}
