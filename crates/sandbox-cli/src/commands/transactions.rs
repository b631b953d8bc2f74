//! `sandbox transactions`: lists open transactions, and ends the hanging ones with the outcome that their coordinator recorded.

use std::time::Duration;

use anyhow::{Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use cluster_reader::ReaderSettings;
use cluster_reader::transactions::{
    OpenTransaction, Outcome, OutcomeUnknown, RecordedOutcome, TransactionStatus, Transactions,
};
use serde_json::{Value, json};
use stack::layout::StackLayout;
use stack::terminal::{Table, counted, note, say};

/// The time limit of one request to a broker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(
    name = "transactions",
    after_help = "Examples:\n  ./sandbox transactions list\n  ./sandbox transactions describe payment-service-1\n  ./sandbox transactions resolve           what would happen\n  ./sandbox transactions resolve --yes\n\nA hanging transaction was decided, but the marker that ends it in a partition was lost: read_committed consumers cannot read past it.\nresolve looks the decision up in the coordinator's log and writes the marker. It never guesses an outcome."
)]
pub struct TransactionsArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List the transactions that are open in a partition
    List(List),
    /// Show one open transaction: every partition, and the recorded outcome if it hangs
    Describe(Describe),
    /// Write the missing markers of hanging transactions
    Resolve(Resolve),
}

/// The form of the output.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox transactions list --json")]
pub struct List {
    /// Print JSON: an array with one object for each transaction and partition
    #[arg(long)]
    pub json: bool,
}

/// The transaction.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox transactions describe payment-service-1")]
pub struct Describe {
    /// A transactional id or a producer id, as `transactions list` prints them
    pub transaction: String,

    /// Print JSON: an array with one object for each partition
    #[arg(long)]
    pub json: bool,
}

/// The transactions.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox transactions resolve           what would happen\n  ./sandbox transactions resolve payment-service-1 --yes"
)]
pub struct Resolve {
    /// A transactional id or a producer id; without it, every hanging transaction
    pub transaction: Option<String>,

    /// Write the markers; without this option, only show what would happen
    #[arg(long)]
    pub yes: bool,

    /// Print JSON: an array with one object for each partition
    #[arg(long)]
    pub json: bool,
}

/// A transaction that is open in a partition, and if it hangs, its outcome.
struct Row {
    open: OpenTransaction,
    outcome: Option<Result<RecordedOutcome, OutcomeUnknown>>,
}

pub async fn run(args: TransactionsArgs, layout: &StackLayout) -> Result<()> {
    let mut transactions = Transactions::new(ReaderSettings {
        bootstrap_servers: layout.kafka().bootstrap_servers.clone(),
        client_id: "sandbox".to_owned(),
        timeout: REQUEST_TIMEOUT,
    });
    match args.verb {
        Verb::List(args) => {
            let rows = rows(&mut transactions, None).await?;
            show(&rows, args.json, "no transaction is open")
        }
        Verb::Describe(args) => {
            let rows = rows(&mut transactions, Some(&args.transaction)).await?;
            show(&rows, args.json, "")
        }
        Verb::Resolve(args) => resolve(args, &mut transactions).await,
    }
}

/// The open transactions, or the named one.
async fn rows(transactions: &mut Transactions, named: Option<&str>) -> Result<Vec<Row>> {
    let mut open = transactions.list().await?;
    if let Some(name) = named {
        open.retain(|one| is_named(one, name));
        if open.is_empty() {
            bail!(
                "no open transaction has the transactional id or producer id {name:?}: ./sandbox transactions list"
            );
        }
    }
    let mut rows = Vec::new();
    for open in open {
        let outcome = match open.status {
            TransactionStatus::Hanging => Some(transactions.outcome(&open).await?),
            TransactionStatus::Ongoing { .. } | TransactionStatus::Completing => None,
        };
        rows.push(Row { open, outcome });
    }
    Ok(rows)
}

fn is_named(open: &OpenTransaction, name: &str) -> bool {
    open.transactional_id.as_deref() == Some(name) || open.producer_id.to_string() == name
}

fn show(rows: &[Row], json: bool, nothing: &str) -> Result<()> {
    if json {
        say(serde_json::to_string_pretty(
            &rows.iter().map(to_json).collect::<Vec<_>>(),
        )?);
    } else if rows.is_empty() {
        note(nothing);
    } else {
        say(table(rows));
    }
    Ok(())
}

/// Writes the markers whose outcome is known. A transaction of unknown outcome is named, and stays as it is.
async fn resolve(args: Resolve, transactions: &mut Transactions) -> Result<()> {
    let mut hanging = rows(transactions, args.transaction.as_deref()).await?;
    hanging.retain(|row| row.outcome.is_some());
    if hanging.is_empty() && args.transaction.is_some() {
        bail!("the transaction does not hang, so there is nothing to resolve");
    }
    show(&hanging, args.json, "no transaction hangs")?;
    if hanging.is_empty() {
        return Ok(());
    }
    if args.yes {
        write_markers(&hanging, transactions).await?;
    } else {
        note("nothing was written: add --yes");
    }
    let unknown = hanging
        .iter()
        .find_map(|row| Some((&row.open.partition, row.outcome.as_ref()?.as_ref().err()?)));
    match unknown {
        Some((partition, why)) => bail!(
            "the transaction in {partition} is left as it is, since its outcome is unknown: {why}"
        ),
        None => Ok(()),
    }
}

/// Writes the markers whose outcome is known, and checks that the transactions have ended.
async fn write_markers(hanging: &[Row], transactions: &mut Transactions) -> Result<()> {
    let mut written = Vec::new();
    for row in hanging {
        if let Some(Ok(recorded)) = &row.outcome {
            transactions.write_marker(&row.open, recorded).await?;
            written.push((&row.open.partition, row.open.start_offset));
        }
    }
    let open = transactions.list().await?;
    let left = open
        .iter()
        .find(|one| written.contains(&(&one.partition, one.start_offset)));
    if let Some(one) = left {
        bail!(
            "the marker was written, and {} is still open",
            one.partition
        );
    }
    note(format_args!("{} written", counted(written.len(), "marker")));
    Ok(())
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "partition",
        "offset",
        "transactional id",
        "producer",
        "last record",
        "status",
    ]);
    for Row { open, outcome } in rows {
        table.row([
            open.partition.to_string(),
            open.start_offset.to_string(),
            open.transactional_id
                .clone()
                .unwrap_or("unknown".to_owned()),
            format!("{}, epoch {}", open.producer_id, open.producer_epoch),
            time(open.last_write),
            status(open, outcome.as_ref()),
        ]);
    }
    table
}

fn status(
    open: &OpenTransaction,
    outcome: Option<&Result<RecordedOutcome, OutcomeUnknown>>,
) -> String {
    match (open.status, outcome) {
        (TransactionStatus::Ongoing { started, timeout }, _) => format!(
            "ongoing since {}, aborted after {} s",
            time(started),
            timeout.as_secs()
        ),
        (TransactionStatus::Completing, _) => "its markers are being written".to_owned(),
        (TransactionStatus::Hanging, Some(Ok(recorded))) => format!(
            "hanging; {} at {}",
            outcome_name(recorded.outcome),
            time(recorded.decided_at)
        ),
        (TransactionStatus::Hanging, Some(Err(why))) => {
            format!("hanging; outcome unknown: {why}")
        }
        (TransactionStatus::Hanging, None) => "hanging".to_owned(),
    }
}

fn to_json(row: &Row) -> Value {
    let Row { open, outcome } = row;
    let status = match open.status {
        TransactionStatus::Ongoing { .. } => "ongoing",
        TransactionStatus::Completing => "completing",
        TransactionStatus::Hanging => "hanging",
    };
    let recorded = outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
    let unknown = outcome.as_ref().and_then(|outcome| outcome.as_ref().err());
    json!({
        "topic": open.partition.topic,
        "partition": open.partition.partition,
        "startOffset": open.start_offset,
        "transactionalId": open.transactional_id,
        "producerId": open.producer_id,
        "producerEpoch": open.producer_epoch,
        "lastWrite": time(open.last_write),
        "status": status,
        "outcome": recorded.map(|recorded| outcome_name(recorded.outcome)),
        "decidedAt": recorded.map(|recorded| time(recorded.decided_at)),
        "outcomeUnknown": unknown.map(ToString::to_string),
    })
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Committed => "committed",
        Outcome::Aborted => "aborted",
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
