//! `sandbox dlq`: lists, shows, replays and discards dead letters.

mod discard;
mod replay;

use anyhow::{Result, bail};
use kafka_admin::Cluster;
use kafka_admin::dead_letters::{DeadLetter, dead_letters, deleted_before_replay};
use scenario_runner::conditions::dlq::{dead_letter_topic, is_about};
use serde_json::{Value, json};
use shared_events::{OrderId, Service, Topic};
use stack::layout::StackLayout;
use stack::terminal::{Table, note, say};

use super::dead_letter_view::{self, DeadLetterId};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox dlq list --order $ID\n  ./sandbox dlq show inventory.dlq/2/17\n  ./sandbox dlq replay inventory.dlq           what would happen\n  ./sandbox dlq replay inventory.dlq --yes\n  ./sandbox dlq discard inventory.dlq --partition 2 --offset 17 --reason \"a test order\" --yes"
)]
pub struct Dlq {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List dead letters, oldest first in each partition
    List(List),
    /// Show one dead letter with all its headers and its value
    Show(Show),
    /// Publish the waiting dead letters again to their original topic, for the group that could not process them
    Replay(replay::ReplayArgs),
    /// Give up a waiting dead letter: no replay publishes it any more
    Discard(discard::DiscardArgs),
}

/// Which dead letters to list.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox dlq list --order $ID")]
pub struct List {
    /// Only this topic: orders.dlq, payments.dlq or inventory.dlq
    #[arg(value_parser = dead_letter_topic)]
    pub topic: Option<Topic>,

    /// Only dead letters of this order
    #[arg(long)]
    pub order: Option<OrderId>,

    /// Only dead letters that were neither replayed nor discarded
    #[arg(long)]
    pub waiting: bool,

    /// Print JSON: an array with one object for each dead letter
    #[arg(long)]
    pub json: bool,
}

/// The dead letter to show.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox dlq show inventory.dlq/2/17")]
pub struct Show {
    /// Topic, partition and offset, as `dlq list` prints them
    #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
    pub id: DeadLetterId,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub async fn run(args: Dlq, layout: &StackLayout) -> Result<()> {
    let cluster = Cluster::new(&layout.kafka())?;
    match args.verb {
        Verb::List(args) => list(args, &cluster).await,
        Verb::Show(args) => show(args, &cluster).await,
        Verb::Replay(args) if args.yes => replay::replay(args, &cluster).await,
        Verb::Replay(args) => replay::dry_run(args, &cluster).await,
        Verb::Discard(args) => discard::discard_one(args, &cluster).await,
    }
}

async fn list(args: List, cluster: &Cluster) -> Result<()> {
    let all = Service::ALL.map(Service::dead_letter_topic);
    let topics = args.topic.map_or_else(|| all.to_vec(), |one| vec![one]);
    let mut found = Vec::new();
    for topic in topics {
        note_deleted(cluster, topic).await?;
        found.extend(dead_letters(cluster, topic).await?);
    }
    found.retain(|one| {
        args.order.is_none_or(|order| is_about(one, order)) && (!args.waiting || one.is_waiting())
    });
    if args.json {
        print_json(&found)
    } else if found.is_empty() {
        note("no dead letters");
        Ok(())
    } else {
        say(table(&found));
        Ok(())
    }
}

async fn show(args: Show, cluster: &Cluster) -> Result<()> {
    let found = find(args.id, cluster).await?;
    if args.json {
        say(serde_json::to_string_pretty(&dead_letter_view::json(
            &found,
        ))?);
    } else {
        dead_letter_view::show(&found);
    }
    Ok(())
}

async fn find(id: DeadLetterId, cluster: &Cluster) -> Result<DeadLetter> {
    let all = dead_letters(cluster, id.topic).await?;
    let found = all.into_iter().find(|one| id.is_of(one));
    match found {
        Some(found) => Ok(found),
        None => bail!("there is no dead letter {id}: ./sandbox dlq list shows all"),
    }
}

/// Dead letters that were deleted before a replay has processed them.
async fn note_deleted(cluster: &Cluster, topic: Topic) -> Result<()> {
    for missing in deleted_before_replay(cluster, topic).await? {
        note(format_args!(
            "{missing}: dead letters that no replay has processed"
        ));
    }
    Ok(())
}

fn print_json(all: &[DeadLetter]) -> Result<()> {
    let all: Vec<Value> = all.iter().map(dead_letter_view::json).collect();
    say(serde_json::to_string_pretty(&json!(all))?);
    Ok(())
}

fn table(all: &[DeadLetter]) -> Table {
    let mut table = Table::new(&[
        "dead letter",
        "key",
        "from",
        "failed at",
        "replays",
        "state",
        "reason",
    ]);
    for one in all {
        table.row(dead_letter_view::row(one));
    }
    table
}
