//! Topics made, grown and deleted. What a change will do is said before it is done.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};
use kafka_admin::named::Wanted;
use kafka_admin::topics::{Created, Difference};
use kafka_admin::{Cluster, partition_of};
use service_kit::settings::duration_between;
use shared_events::{OrderId, Topic};

use super::topic_name;
use scenario_runner::conditions::{Seen, until};
use stack::terminal::{Usage, note, say};

/// How long the broker may think about one try.
const ONE_TRY: Duration = Duration::from_secs(2);

/// Most partitions of a topic: what one broker on one machine bears easily.
const MOST_PARTITIONS: i64 = 1_000;

/// What to make, and how patiently.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics create\n  ./sandbox topics create --within 60s     also while the broker is still starting\n  ./sandbox topics create clicks --partitions 6 --config retention.ms=3600000\n\nA topic that is there as it is wanted is no error; one that is there otherwise is left as it is, and that is exit code 1."
)]
pub struct Create {
    /// The topic; without it, all of the shop's
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: Option<String>,

    /// How many partitions it shall have [default: the shop's own number, or 3]
    #[arg(long, value_name = "N", requires = "name", value_parser = clap::value_parser!(i32).range(1..=MOST_PARTITIONS))]
    partitions: Option<i32>,

    /// A setting by Kafka's name; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", requires = "name")]
    config: Vec<Setting>,

    /// Go on trying for so long while the broker cannot be reached [default: one try]
    #[arg(long, value_parser = duration_between(0, 3_600))]
    within: Option<Duration>,

    /// A topic of the shop that is there otherwise is named and left, and is no failure: somebody grew it
    #[arg(long, conflicts_with = "name")]
    lenient: bool,
}

/// What to grow.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:  ./sandbox topics grow payments --partitions 6\n\nThere is no way back: a topic cannot have fewer partitions again."
)]
pub struct Grow {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: String,

    /// How many partitions it shall have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_PARTITIONS))]
    partitions: u32,
}

/// What to delete.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics delete clicks           what would be lost\n  ./sandbox topics delete clicks --yes"
)]
pub struct Delete {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: String,

    /// Really do it
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
        let wrong = "must be NAME=VALUE, as in retention.ms=3600000";
        let (name, value) = text.split_once('=').ok_or(wrong)?;
        let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        match name.is_empty() || !text.bytes().all(fits) {
            true => Err(wrong),
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
            cluster.answers(ONE_TRY).await?;
            Ok(Seen::Holds(String::new()))
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
            let wanted = Wanted {
                name: cluster.topic_name(&name),
                partitions: args.partitions,
                config,
            };
            create_one(&wanted, cluster).await
        }
    }
}

async fn create_all(lenient: bool, cluster: &Cluster) -> Result<()> {
    let mut differing = Vec::new();
    for (topic, outcome) in cluster.create_topics(&Topic::ALL, None).await? {
        let name = cluster.prefix().topic(topic);
        if let Some(differences) = told(&name, outcome) {
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
        "not as the shop expects: {}; ./sandbox reset makes them anew",
        differing.join(", ")
    );
}

async fn create_one(wanted: &Wanted, cluster: &Cluster) -> Result<()> {
    let outcome = cluster.create_topic(wanted).await?;
    let Some(differences) = told(&wanted.name, outcome) else {
        return Ok(());
    };
    let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    bail!(
        "{} is there and was left as it is: {}",
        wanted.name,
        differences.join("; ")
    );
}

/// Says what became of a topic, and returns where it is not as wanted.
fn told(name: &str, outcome: Created) -> Option<Vec<Difference>> {
    match outcome {
        Created::Created => say(format_args!("{name} created")),
        Created::Exists => say(format_args!("{name} exists")),
        Created::Differs(differences) => {
            say(format_args!("{name} exists, but differs"));
            return Some(differences);
        }
    }
    None
}

pub(super) async fn grow(args: Grow, cluster: &Cluster) -> Result<()> {
    let name = cluster.topic_name(&args.name);
    let has = cluster.describe_topic(&name).await?.partitions.len();
    let has = u32::try_from(has)?;
    let wanted = args.partitions;
    if wanted < has {
        bail!(
            "{name} has {has} partitions, and cannot have fewer: nobody could say where the records of the others belong. Delete it and make it anew, or leave it"
        );
    }
    if wanted == has {
        say(format_args!("{name} has {has} partitions"));
        return Ok(());
    }
    if cluster.prefix().topic_of(&name) == Some(Topic::Controls) {
        bail!("{name} has one partition, so that there is one order for all, and keeps it");
    }
    note(format_args!(
        "{name}: from {has} to {wanted} partitions, and never back. What is there stays where it is."
    ));
    if let Some((key, before, after)) = example(has, wanted) {
        note(format_args!(
            "But keys go elsewhere from now on. {key}, for one, goes to partition {after} instead of {before}: what is told of it later may be read before what is waiting on {before}."
        ));
    }
    cluster.grow_topic(&name, wanted).await?;
    say(format_args!("{name} has {wanted} partitions"));
    note("Consumers and producers know of them within 5 s.");
    Ok(())
}

/// A key that goes elsewhere, with its partition before and after.
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
        "{name}: {partitions} partitions with at most {records} records are lost for ever, and what groups have committed of it."
    ));
    if let Some(own) = cluster.prefix().topic_of(&name) {
        note(format_args!(
            "The shop needs {own}: ./sandbox topics create makes it anew, empty."
        ));
    }
    if !args.yes {
        return Err(Usage::error("nothing was done: with --yes it is done"));
    }
    cluster.delete_topic(&name).await?;
    say(format_args!("{name} deleted"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_of_growing_is_a_key_that_moves() {
        let (key, from, to) = example(3, 6).unwrap();
        assert_ne!(from, to);
        // From 3 to 6 a key stays or goes three further.
        assert_eq!(from + 3, to, "{key}");
    }

    #[test]
    fn a_setting_has_a_name_and_a_value_and_nothing_that_cannot_be_seen() {
        assert!("cleanup.policy=compact,delete".parse::<Setting>().is_ok());
        assert!("retention.ms=".parse::<Setting>().is_ok());
        for bad in ["", "=1", "retention.ms", "a=\u{1b}[0m"] {
            assert!(bad.parse::<Setting>().is_err(), "{bad:?}");
        }
    }
}
