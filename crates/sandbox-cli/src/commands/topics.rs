//! `sandbox topics`: shows topics and their records; creates, grows and deletes topics.

mod change;
mod describe;
mod last_records;
mod record_format;
mod tail;

use anyhow::Result;
use kafka_admin::Cluster;
use stack::layout::StackLayout;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics tail orders -n 3\n  ./sandbox topics tail inventory -f --json | jq .value\n  ./sandbox topics create                                the shop's topics, if they are missing\n  ./sandbox topics create clicks --partitions 6 --config retention.ms=3600000\n  ./sandbox topics grow payments --partitions 6\n\nThe shop's own topics (orders, payments, inventory, payments.retry, orders.dlq, payments.dlq, inventory.dlq, sandbox.controls) are typed without\nthe prefix of this stack (NAME_PREFIX); any other topic with its full name on the broker."
)]
pub struct Topics {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show a topic's records, and follow it
    Tail(tail::Tail),
    /// List the topics
    List(describe::List),
    /// Show a topic's partitions and settings
    Describe(describe::Describe),
    /// Create a topic, or the missing topics of the shop; an existing topic is compared and left unchanged
    Create(change::Create),
    /// Give a topic more partitions
    Grow(change::Grow),
    /// Delete a topic with all its records
    Delete(change::Delete),
}

pub async fn run(args: Topics, layout: &StackLayout) -> Result<()> {
    let cluster = Cluster::new(&layout.kafka())?;
    match args.verb {
        Verb::Tail(args) => tail::run(args, &cluster).await,
        Verb::List(args) => describe::list(args, &cluster).await,
        Verb::Describe(args) => describe::describe(args, &cluster).await,
        Verb::Create(args) => change::create(args, &cluster).await,
        Verb::Grow(args) => change::grow(args, &cluster).await,
        Verb::Delete(args) => change::delete(args, &cluster).await,
    }
}

/// A topic's name that Kafka allows.
fn topic_name(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let fits = (1..=249).contains(&name.len()) && name.bytes().all(allowed);
    match fits && !matches!(name, "." | "..") {
        true => Ok(name.to_owned()),
        false => Err("must be 1 to 249 letters, digits, _, - or .".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_name_is_what_kafka_allows() {
        assert!(topic_name("sandbox.controls").is_ok());
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"a".repeat(250)] {
            assert!(topic_name(bad).is_err(), "{bad}");
        }
    }
}
