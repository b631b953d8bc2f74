//! `sandbox dlq`: lists, shows and replays dead letters.

use anyhow::{Result, bail};
use kafka_admin::Cluster;
use kafka_admin::dead_letters::{DeadLetter, ReplayDecision, dead_letters};
use kafka_admin::replay::Replay;
use scenario_runner::conditions::dlq::{dead_letter_topic, is_about};
use serde_json::{Value, json};
use shared_events::{OrderId, Service, Topic};
use stack::layout::StackLayout;
use stack::terminal::{Table, note, say};

use super::dead_letter_view::{self, DeadLetterId};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox dlq list --order $ID\n  ./sandbox dlq show inventory.dlq/2/17\n  ./sandbox dlq replay inventory.dlq           what would happen\n  ./sandbox dlq replay inventory.dlq --yes"
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
    Replay(ReplayArgs),
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

    /// Only dead letters that no replay has processed yet
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

/// The dead letters to replay.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox dlq replay inventory.dlq           what would happen\n  ./sandbox dlq replay inventory.dlq --yes\n\nEach dead letter is replayed once, even if the replay is interrupted, and a record at most five times."
)]
pub struct ReplayArgs {
    /// The dead-letter topic: orders.dlq, payments.dlq or inventory.dlq
    #[arg(value_parser = dead_letter_topic)]
    pub topic: Topic,

    /// Replay; without this option, only show what would happen
    #[arg(long)]
    pub yes: bool,

    /// Print JSON: an array with one object for each dead letter
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: Dlq, layout: &StackLayout) -> Result<()> {
    let cluster = Cluster::new(&layout.kafka())?;
    match args.verb {
        Verb::List(args) => list(args, &cluster).await,
        Verb::Show(args) => show(args, &cluster).await,
        Verb::Replay(args) if args.yes => replay(args, &cluster).await,
        Verb::Replay(args) => dry_run(args, &cluster).await,
    }
}

async fn list(args: List, cluster: &Cluster) -> Result<()> {
    let all = Service::ALL.map(Service::dead_letter_topic);
    let topics = args.topic.map_or_else(|| all.to_vec(), |one| vec![one]);
    let mut found = Vec::new();
    for topic in topics {
        found.extend(dead_letters(cluster, topic).await?);
    }
    found.retain(|one| {
        args.order.is_none_or(|order| is_about(one, order)) && !(args.waiting && one.processed)
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
    let all = dead_letters(cluster, args.id.topic).await?;
    let found = all.iter().find(|one| args.id.is_of(one));
    let Some(found) = found else {
        bail!(
            "there is no dead letter {}: ./sandbox dlq list shows all",
            args.id
        );
    };
    if args.json {
        say(serde_json::to_string_pretty(&dead_letter_view::json(
            found,
        ))?);
    } else {
        dead_letter_view::show(found);
    }
    Ok(())
}

async fn dry_run(args: ReplayArgs, cluster: &Cluster) -> Result<()> {
    let mut waiting = dead_letters(cluster, args.topic).await?;
    waiting.retain(|one| !one.processed);
    if args.json {
        return print_json(&waiting);
    }
    if !waiting.is_empty() {
        say(table(&waiting));
    }
    let refused = waiting
        .iter()
        .filter(|one| dead_letter_view::refusal(one).is_some())
        .count();
    note(format_args!(
        "{} would be replayed, {refused} refused; nothing was changed. --yes replays them",
        waiting.len() - refused
    ));
    Ok(())
}

async fn replay(args: ReplayArgs, cluster: &Cluster) -> Result<()> {
    let replay = Replay::begin(cluster, args.topic).await?;
    let (mut processed, mut refused) = (Vec::new(), 0);
    let outcome = replay.run(|batch| {
        for one in batch {
            let id = DeadLetterId::of(one);
            match &one.decision {
                ReplayDecision::Replay {
                    topic,
                    previous_replays,
                    ..
                } if !args.json => {
                    say(format_args!(
                        "{id} → {topic} (replay {} of {})",
                        previous_replays + 1,
                        dead_letter_view::MAX
                    ));
                }
                ReplayDecision::Replay { .. } => {}
                ReplayDecision::Refuse(reason) => {
                    refused += 1;
                    note(format_args!("{id} refused: {reason}"));
                }
            }
            processed.push(one.clone());
        }
    });
    let outcome = outcome.await;
    if args.json {
        print_json(&processed)?;
    }
    outcome?;
    if refused > 0 {
        bail!(
            "{refused} of {} dead letters were refused; they stay in {}",
            processed.len(),
            args.topic
        );
    }
    note(format_args!("{} replayed", processed.len()));
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
