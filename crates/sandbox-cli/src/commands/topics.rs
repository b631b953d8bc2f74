//! `sandbox topics`: looks into topics, and makes, grows and deletes them.

mod change;
mod look;
mod tail;

use anyhow::Result;
use kafka_admin::Cluster;

use stack::sandbox::Sandbox;

/// What to do with the topics.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics tail orders -n 3\n  ./sandbox topics tail inventory -f --json | jq .value\n  ./sandbox topics create                                the shop's, if they are missing\n  ./sandbox topics create clicks --partitions 6 --config retention.ms=3600000\n  ./sandbox topics grow payments --partitions 6\n\nThe shop's own topics (orders, payments, inventory, orders.dlq, payments.dlq, inventory.dlq, sandbox.controls) are typed without\nthe prefix of this stack (NAME_PREFIX); any other as it is called on the broker."
)]
pub struct Topics {
    /// What.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done with them.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show a topic's records, and follow it
    Tail(tail::Tail),
    /// List the topics
    List(look::List),
    /// Show a topic's partitions and settings
    Describe(look::Describe),
    /// Make a topic, or the shop's where they are missing; one that is there is compared, and left as it is
    Create(change::Create),
    /// Give a topic more partitions
    Grow(change::Grow),
    /// Delete a topic with all its records
    Delete(change::Delete),
}

/// Does it.
pub async fn run(args: Topics, sandbox: &Sandbox) -> Result<()> {
    let cluster = Cluster::new(&sandbox.kafka())?;
    match args.verb {
        Verb::Tail(args) => tail::run(args, &cluster).await,
        Verb::List(args) => look::list(args, &cluster).await,
        Verb::Describe(args) => look::describe(args, &cluster).await,
        Verb::Create(args) => change::create(args, &cluster).await,
        Verb::Grow(args) => change::grow(args, &cluster).await,
        Verb::Delete(args) => change::delete(args, &cluster).await,
    }
}

/// A topic's name as it may be typed: what Kafka allows.
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
    fn a_name_is_what_kafka_allows() {
        assert!(topic_name("sandbox.controls").is_ok());
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"a".repeat(250)] {
            assert!(topic_name(bad).is_err(), "{bad}");
        }
    }
}
