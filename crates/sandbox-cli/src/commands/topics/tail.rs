//! `sandbox topics tail`: prints the records of a topic.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use kafka_admin::Cluster;
use kafka_admin::records::{Isolation, MissingOffsets, Query, Record, Start};
use kafka_admin::topic_tail::{TailEvent, TopicTail};
use service_kit::settings::whole_number;
use stack::terminal::{note, say};
use tokio::task::spawn_blocking;

use super::last_records::LastRecords;
use super::record_format::{as_json, as_text, missing_as_json};
use super::topic_name;

/// The default of `-n`.
const DEFAULT_COUNT: u32 = 10;

/// The highest value of `-n`.
const MAX_COUNT: i64 = 1_000_000;

/// The memory limit of the last records, in bytes: some hundred thousand small events.
const MAX_BYTES: usize = 256 << 20;

/// The time limit of one poll.
const POLL_TIMEOUT: Duration = Duration::from_millis(200);

/// The factor by which the next try reads more offsets, if the last try found too few records. Transaction markers take
/// offsets, too.
const RETRY_FACTOR: i64 = 8;

/// The topic, and which of its records.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics tail orders                      the last 10\n  ./sandbox topics tail orders -n 1 --json | jq .value\n  ./sandbox topics tail payments -f                 the last 10, then new records, until Ctrl-C\n  ./sandbox topics tail payments --key $ID --from 0   all records of one order\n  ./sandbox topics tail inventory.dlq --from 10m    the last ten minutes\n  ./sandbox topics tail orders --uncommitted        includes open and aborted transactions\n\nRecords of one partition are in their order; the last records are sorted by time, and may take 256 MB at most. With --from,\neach record is printed at once. Partitions that are added meanwhile are not followed. Control characters and bytes that are\nnot UTF-8 are escaped. Records that were deleted before they were read are reported on standard error, with --from and\n--json also as an object with the field missing."
)]
pub struct Tail {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: String,

    /// Only records of this key: an order's id
    #[arg(long, value_name = "ID")]
    key: Option<String>,

    /// Start at this offset of each partition, this time (2026-01-31T12:00:00Z), or this long ago (10m)
    #[arg(long, value_name = "OFFSET|TIME")]
    from: Option<From>,

    /// The number of records: the last ones, with --from the first ones [default: 10, with --from all]
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = whole_number::<u32>(1..=MAX_COUNT))]
    count: Option<u32>,

    /// Then print new records, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Print JSON: one object a line
    #[arg(long)]
    json: bool,

    /// Include records of open and aborted transactions
    #[arg(long)]
    uncommitted: bool,
}

/// The start of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Offset(i64),
    Time(DateTime<Utc>),
    Ago(Duration),
}

impl FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let offset = text.parse().map(Self::Offset);
            return offset.map_err(|_| "an offset must be a whole number from 0 to 2^63 - 1");
        }
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        let time = DateTime::parse_from_rfc3339(text);
        let invalid =
            "must be an offset, a time as in 2026-01-31T12:00:00Z, or how long ago, as in 10m";
        time.map(|time| Self::Time(time.to_utc()))
            .map_err(|_| invalid)
    }
}

impl From {
    fn start(self) -> Start {
        match self {
            Self::Offset(offset) => Start::Offset(offset),
            Self::Time(time) => Start::Time(time.timestamp_millis().max(0)),
            Self::Ago(ago) => {
                let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
                Start::Time(Utc::now().timestamp_millis().saturating_sub(ago).max(0))
            }
        }
    }
}

/// The form of the output, and when to end.
#[derive(Debug, Clone, Copy)]
struct Output {
    json: bool,
    follow: bool,
}

pub(super) async fn run(args: Tail, cluster: &Cluster) -> Result<()> {
    let name = cluster.topic_name(&args.name);
    let mut query = Query {
        start: Start::Beginning,
        isolation: match args.uncommitted {
            true => Isolation::ReadUncommitted,
            false => Isolation::ReadCommitted,
        },
        key: args.key.map(String::into_bytes),
    };
    let output = Output {
        json: args.json,
        follow: args.follow,
    };
    if let Some(from) = args.from {
        query.start = from.start();
        let tail = cluster.tail(&name, &query).await?;
        return blocking(move || stream(tail, args.count, output)).await;
    }
    let count = args.count.unwrap_or(DEFAULT_COUNT);
    let mut offsets = i64::from(count);
    loop {
        // The last records of a key may be anywhere, so the whole topic is read.
        if query.key.is_none() {
            query.start = Start::Last(offsets);
        }
        let tail = cluster.tail(&name, &query).await?;
        if blocking(move || print_last(tail, count as usize, output)).await? {
            return Ok(());
        }
        offsets = offsets.saturating_mul(RETRY_FACTOR);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .context("the task that reads the topic panicked")?
}

/// Prints records as they are read, at most `limit`.
fn stream(mut tail: TopicTail, limit: Option<u32>, output: Output) -> Result<()> {
    let mut left = limit;
    while left != Some(0) {
        match tail.next(POLL_TIMEOUT)? {
            TailEvent::Record(record) => {
                show(&record, output)?;
                left = left.map(|left| left - 1);
            }
            TailEvent::Missing(missing) => show_missing(&missing, output)?,
            TailEvent::End if !output.follow => break,
            TailEvent::End | TailEvent::Idle => {}
        }
    }
    Ok(())
}

/// Prints the last records by time, then follows the topic if asked. Returns false and prints nothing if too little was read
/// of some partition.
fn print_last(mut tail: TopicTail, count: usize, output: Output) -> Result<bool> {
    let (mut last, mut missing) = (LastRecords::new(count), Vec::new());
    loop {
        match tail.next(POLL_TIMEOUT)? {
            TailEvent::Record(record) => last.add(*record, MAX_BYTES)?,
            TailEvent::Missing(one) => missing.push(one),
            TailEvent::End => break,
            TailEvent::Idle => {}
        }
    }
    let enough = |partition: i32| tail.starts_at_beginning(partition) || last.is_full(partition);
    if !tail.partitions().all(enough) {
        return Ok(false);
    }
    missing.iter().for_each(note);
    for record in &last.into_sorted() {
        show(record, output)?;
    }
    if output.follow {
        stream(tail, None, output)?;
    }
    Ok(true)
}

fn show(record: &Record, output: Output) -> Result<()> {
    if output.json {
        say(serde_json::to_string(&as_json(record))?);
    } else {
        say(as_text(record));
    }
    Ok(())
}

fn show_missing(missing: &MissingOffsets, output: Output) -> Result<()> {
    note(missing);
    if output.json {
        say(serde_json::to_string(&missing_as_json(missing))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_an_offset_a_time_or_an_age() {
        assert_eq!("17".parse(), Ok(From::Offset(17)));
        assert_eq!("10m".parse(), Ok(From::Ago(Duration::from_secs(600))));
        let time = DateTime::from_timestamp_millis(1_500).unwrap();
        assert_eq!("1970-01-01T00:00:01.5Z".parse(), Ok(From::Time(time)));
        assert_eq!(From::Time(time).start(), Start::Time(1_500));
        for bad in [
            "-1",
            "99999999999999999999",
            "yesterday",
            "2026-01-31",
            "1.5",
        ] {
            assert!(bad.parse::<From>().is_err(), "{bad}");
        }
    }
}
