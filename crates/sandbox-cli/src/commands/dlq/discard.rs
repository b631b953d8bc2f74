//! `sandbox dlq discard`.

use anyhow::Result;
use kafka_admin::Cluster;
use kafka_admin::discard::{MAX_REASON_CHARS, check_waiting, discard};
use scenario_runner::conditions::dlq::dead_letter_topic;
use service_kit::settings::whole_number;
use shared_events::Topic;
use stack::terminal::{note, say};

use super::{find, table};
use crate::commands::dead_letter_view::DeadLetterId;

/// The dead letter to discard.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox dlq discard inventory.dlq --partition 2 --offset 17           what would happen\n  ./sandbox dlq discard inventory.dlq --partition 2 --offset 17 --reason \"a test order\" --yes\n\nThis cannot be undone. The dead letter stays in its topic until its retention ends, and ./sandbox dlq list shows that and why it\nwas discarded. A replay that runs at the same time ends; start it again."
)]
pub struct DiscardArgs {
    /// The dead-letter topic: orders.dlq, payments.dlq or inventory.dlq
    #[arg(value_parser = dead_letter_topic)]
    pub topic: Topic,

    /// The partition of the dead letter
    #[arg(long, value_name = "P", value_parser = whole_number::<i32>(0..=i32::MAX))]
    pub partition: i32,

    /// The offset of the dead letter
    #[arg(long, value_name = "O", value_parser = whole_number::<i64>(0..=i64::MAX))]
    pub offset: i64,

    /// Why, for those who look later: at most 500 characters
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,

    /// Discard; without this option, only show what would happen
    #[arg(long)]
    pub yes: bool,
}

fn reason(text: &str) -> Result<String, String> {
    match (1..=MAX_REASON_CHARS).contains(&text.chars().count()) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be 1 to {MAX_REASON_CHARS} characters")),
    }
}

/// Discards it, or shows what would happen.
pub(super) async fn discard_one(args: DiscardArgs, cluster: &Cluster) -> Result<()> {
    let DiscardArgs {
        topic,
        partition,
        offset,
        ..
    } = args;
    let id = DeadLetterId {
        topic,
        partition,
        offset,
    };
    let found = find(id, cluster).await?;
    check_waiting(topic, &found)?;
    if !args.yes {
        say(table(&[found]));
        note("would be discarded; nothing was changed. --yes discards it, which cannot be undone");
        return Ok(());
    }
    discard(cluster, topic, partition, offset, args.reason.as_deref()).await?;
    say(format_args!("{id} discarded"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_a_length() {
        assert!(reason("a test order").is_ok() && reason(&"ü".repeat(500)).is_ok());
        assert!(reason("").is_err() && reason(&"ü".repeat(501)).is_err());
    }
}
