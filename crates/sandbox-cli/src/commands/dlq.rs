//! `sandbox dlq`: looks at dead letters and sends them back.

use anyhow::{Result, bail};
use kafka_admin::Cluster;
use kafka_admin::replay::{self, Letter, Replay, Verdict};
use serde_json::{Value, json};
use shared_events::{OrderId, Service, Topic};

use scenario_runner::conditions::dlq::{dead_letter_topic, is_about};
use crate::dead_letter_view::{self, Place};
use stack::sandbox::Sandbox;
use stack::terminal::{Table, note, say};

/// What to do with dead letters.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox dlq list --order $ID\n  ./sandbox dlq show inventory.dlq/2/17\n  ./sandbox dlq replay inventory.dlq           what would happen\n  ./sandbox dlq replay inventory.dlq --yes"
)]
pub struct Dlq {
    /// What.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done with them.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List them, oldest first in each partition
    List(List),
    /// Show one with everything in it
    Show(Show),
    /// Publish those that wait once more to the topic they came from, for the group that could not take them
    Replay(Again),
}

/// Which letters to list.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox dlq list --order $ID")]
pub struct List {
    /// Only this topic: orders.dlq, payments.dlq or inventory.dlq
    #[arg(value_parser = dead_letter_topic)]
    pub topic: Option<Topic>,

    /// Only those of this order
    #[arg(long)]
    pub order: Option<OrderId>,

    /// Only those that no replay has passed yet
    #[arg(long)]
    pub waiting: bool,

    /// Print JSON: an array with one object a letter
    #[arg(long)]
    pub json: bool,
}

/// Which letter to show.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox dlq show inventory.dlq/2/17")]
pub struct Show {
    /// Topic, partition and offset, as `dlq list` prints them
    #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
    pub place: Place,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to replay.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox dlq replay inventory.dlq           what would happen\n  ./sandbox dlq replay inventory.dlq --yes\n\nEach letter is replayed once, whatever happens in between, and a record at most five times."
)]
pub struct Again {
    /// The dead-letter topic: orders.dlq, payments.dlq or inventory.dlq
    #[arg(value_parser = dead_letter_topic)]
    pub topic: Topic,

    /// Really do it
    #[arg(long)]
    pub yes: bool,

    /// Print JSON: an array with one object a letter
    #[arg(long)]
    pub json: bool,
}

/// Does it.
pub async fn run(args: Dlq, sandbox: &Sandbox) -> Result<()> {
    let cluster = Cluster::new(&sandbox.kafka())?;
    match args.verb {
        Verb::List(args) => list(args, &cluster).await,
        Verb::Show(args) => show(args, &cluster).await,
        Verb::Replay(args) if args.yes => again(args, &cluster).await,
        Verb::Replay(args) => dry_run(args, &cluster).await,
    }
}

async fn list(args: List, cluster: &Cluster) -> Result<()> {
    let all = Service::ALL.map(Service::dead_letters);
    let topics = args.topic.map_or_else(|| all.to_vec(), |one| vec![one]);
    let mut letters = Vec::new();
    for topic in topics {
        letters.extend(replay::letters(cluster, topic).await?);
    }
    letters.retain(|letter| {
        args.order.is_none_or(|order| is_about(letter, order)) && !(args.waiting && letter.passed)
    });
    if args.json {
        print_json(&letters)
    } else if letters.is_empty() {
        note("no dead letters");
        Ok(())
    } else {
        say(table(&letters));
        Ok(())
    }
}

async fn show(args: Show, cluster: &Cluster) -> Result<()> {
    let letters = replay::letters(cluster, args.place.topic).await?;
    let found = letters.iter().find(|letter| args.place.is_of(letter));
    let Some(found) = found else {
        bail!(
            "there is no letter {}: ./sandbox dlq list shows those there are",
            args.place
        );
    };
    if args.json {
        say(serde_json::to_string_pretty(&dead_letter_view::json(found))?);
    } else {
        dead_letter_view::show(found);
    }
    Ok(())
}

async fn dry_run(args: Again, cluster: &Cluster) -> Result<()> {
    let mut waiting = replay::letters(cluster, args.topic).await?;
    waiting.retain(|letter| !letter.passed);
    if args.json {
        return print_json(&waiting);
    }
    if !waiting.is_empty() {
        say(table(&waiting));
    }
    let refused = waiting
        .iter()
        .filter(|letter| dead_letter_view::refusal(letter).is_some())
        .count();
    note(format_args!(
        "{} would be replayed, {refused} refused; nothing was done. With --yes it is done",
        waiting.len() - refused
    ));
    Ok(())
}

async fn again(args: Again, cluster: &Cluster) -> Result<()> {
    let replay = Replay::begin(cluster, args.topic).await?;
    let (mut replayed, mut refused) = (Vec::new(), 0);
    let outcome = replay.run(|batch| {
        for letter in batch {
            let place = Place::of(letter);
            match &letter.verdict {
                Verdict::Replay {
                    to,
                    replayed_before,
                    ..
                } if !args.json => {
                    say(format_args!(
                        "{place} → {to} (replay {} of {})",
                        replayed_before + 1,
                        dead_letter_view::MAX
                    ));
                }
                Verdict::Replay { .. } => {}
                Verdict::Refuse(reason) => {
                    refused += 1;
                    note(format_args!("{place} refused: {reason}"));
                }
            }
            replayed.push(letter.clone());
        }
    });
    let outcome = outcome.await;
    if args.json {
        print_json(&replayed)?;
    }
    outcome?;
    if refused > 0 {
        bail!(
            "{refused} of {} letters were refused; they stay in {}",
            replayed.len(),
            args.topic
        );
    }
    note(format_args!("{} replayed", replayed.len()));
    Ok(())
}

fn print_json(letters: &[Letter]) -> Result<()> {
    let letters: Vec<Value> = letters.iter().map(dead_letter_view::json).collect();
    say(serde_json::to_string_pretty(&json!(letters))?);
    Ok(())
}

fn table(letters: &[Letter]) -> Table {
    let mut table = Table::new(&[
        "letter",
        "key",
        "from",
        "set aside",
        "replays",
        "state",
        "why",
    ]);
    for one in letters {
        table.row(dead_letter_view::row(one));
    }
    table
}
