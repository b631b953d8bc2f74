//! `sandbox topics tail`: the records of a topic.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use kafka_admin::Cluster;
use kafka_admin::records::{Isolation, Query, Record, Start};
use kafka_admin::tail::{self, Came};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::topic_name;
use stack::terminal::say;

/// How many of the last records are shown, unless told.
const LAST: u32 = 10;

/// Most records that may be asked for by their number.
const MOST: i64 = 1_000_000;

/// Most bytes of records that are kept to find the last ones among them: of a small event, some hundred thousand.
const MOST_KEPT: usize = 256 << 20;

/// What a record takes besides its bytes: about fifteen allocations, and the pointers to them.
const BESIDES: usize = 500;

/// How long one look waits.
const LOOK: Duration = Duration::from_millis(200);

/// By how much more is read when what was read held too few records: markers of transactions take offsets, too.
const WIDER: i64 = 8;

/// Which records of which topic.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox topics tail orders                      the last 10\n  ./sandbox topics tail orders -n 1 --json | jq .value\n  ./sandbox topics tail payments -f                 the last 10, then what comes, until Ctrl-C\n  ./sandbox topics tail payments --key $ID --from 0   all about one order\n  ./sandbox topics tail inventory.dlq --from 10m    of the last ten minutes\n  ./sandbox topics tail orders --uncommitted        also of open and aborted transactions\n\nRecords of one partition come in their order; the last ones are sorted by time. Partitions that are added meanwhile are not\nfollowed. To sort them the last ones are kept, 256 MB at most; with --from, each is shown when it comes. What could move the cursor is shown escaped."
)]
pub struct Tail {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: String,

    /// Only records of this key: an order's id
    #[arg(long, value_name = "ID")]
    key: Option<String>,

    /// From this offset of each partition, this time (2026-01-31T12:00:00Z), or so long ago (10m)
    #[arg(long, value_name = "OFFSET|TIME")]
    from: Option<From>,

    /// So many: the last ones, or with --from the first [default: the last 10, or with --from all]
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST))]
    count: Option<u32>,

    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,

    /// Print JSON: one object a line
    #[arg(long)]
    json: bool,

    /// Also records of transactions that are open or were aborted
    #[arg(long)]
    uncommitted: bool,
}

/// Where to begin.
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
        let wrong =
            "must be an offset, a time as in 2026-01-31T12:00:00Z, or how long ago, as in 10m";
        time.map(|time| Self::Time(time.to_utc()))
            .map_err(|_| wrong)
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

/// What is shown of a record, and when to end.
#[derive(Debug, Clone, Copy)]
struct How {
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
    let how = How {
        json: args.json,
        follow: args.follow,
    };
    if let Some(from) = args.from {
        query.start = from.start();
        let tail = cluster.tail(&name, &query).await?;
        return blocking(move || stream(tail, args.count, how)).await;
    }
    let count = args.count.unwrap_or(LAST);
    let mut offsets = i64::from(count);
    loop {
        // Of a key nobody knows how far back the last ones lie.
        if query.key.is_none() {
            query.start = Start::Last(offsets);
        }
        let tail = cluster.tail(&name, &query).await?;
        if blocking(move || last(tail, count as usize, how)).await? {
            return Ok(());
        }
        offsets = offsets.saturating_mul(WIDER);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .context("reading the topic ended without a word")?
}

/// Shows records as they come, up to so many.
fn stream(mut tail: tail::Tail, most: Option<u32>, how: How) -> Result<()> {
    let mut left = most;
    while left != Some(0) {
        match tail.next(LOOK)? {
            Came::Record(record) => {
                show(&record, how)?;
                left = left.map(|left| left - 1);
            }
            Came::End if !how.follow => break,
            Came::End | Came::Nothing => {}
        }
    }
    Ok(())
}

/// Shows the last records, by time, then follows if asked. False: of some partition too little was read to know which are the
/// last, and nothing was shown.
fn last(mut tail: tail::Tail, count: usize, how: How) -> Result<bool> {
    let mut kept = Kept::of(count);
    loop {
        match tail.next(LOOK)? {
            Came::Record(record) => kept.add(*record, MOST_KEPT)?,
            Came::End => break,
            Came::Nothing => {}
        }
    }
    let enough = |partition: i32| tail.is_whole(partition) || kept.is_full(partition);
    if !tail.partitions().all(enough) {
        return Ok(false);
    }
    let mut records: Vec<Record> = kept.records.into_values().flatten().collect();
    records.sort_by_key(|record| (record.timestamp_ms, record.partition, record.offset));
    let first = records.len().saturating_sub(count);
    for record in records.iter().skip(first) {
        show(record, how)?;
    }
    if how.follow {
        stream(tail, None, how)?;
    }
    Ok(true)
}

/// The last records of each partition, so many.
struct Kept {
    count: usize,
    records: BTreeMap<i32, VecDeque<Record>>,
    bytes: usize,
}

impl Kept {
    fn of(count: usize) -> Self {
        Self {
            count,
            records: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Takes it in, in the place of the oldest of its partition if there are enough. An error if all are more than `most` bytes.
    fn add(&mut self, record: Record, most: usize) -> Result<()> {
        self.bytes += size(&record);
        let kept = self.records.entry(record.partition).or_default();
        kept.push_back(record);
        if kept.len() > self.count
            && let Some(oldest) = kept.pop_front()
        {
            self.bytes -= size(&oldest);
        }
        if self.bytes > most {
            bail!(
                "the last {} records of each partition are more than {} MB: ask for fewer with -n, or with --from for what is shown as it comes",
                self.count,
                most >> 20
            );
        }
        Ok(())
    }

    fn is_full(&self, partition: i32) -> bool {
        let kept = self.records.get(&partition);
        kept.is_some_and(|kept| kept.len() >= self.count)
    }
}

/// About how much memory it takes.
fn size(record: &Record) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = record.headers.iter().flatten();
    let headers: usize = headers
        .map(|(name, value)| name.len() + length(value))
        .sum();
    length(&record.key) + length(&record.value) + headers + BESIDES
}

fn show(record: &Record, how: How) -> Result<()> {
    if how.json {
        say(serde_json::to_string(&as_json(record))?);
    } else {
        say(as_text(record));
    }
    Ok(())
}

fn time(record: &Record) -> Option<String> {
    let at = DateTime::from_timestamp_millis(record.timestamp_ms?)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn as_text(record: &Record) -> String {
    let Record {
        topic,
        partition,
        offset,
        ..
    } = record;
    let at = time(record).unwrap_or_else(|| "no time".to_owned());
    let key = record
        .key
        .as_deref()
        .map_or_else(|| "none".to_owned(), escaped);
    let mut text = format!("{topic}/{partition}/{offset}  {at}  key {key}");
    match &record.headers {
        None => text += "\n    headers that are not UTF-8",
        Some(headers) => {
            for (name, value) in headers {
                let value = value.as_deref().map_or_else(|| "none".to_owned(), escaped);
                text += &format!("\n    {}: {value}", escaped(name.as_bytes()));
            }
        }
    }
    let value = record.value.as_deref();
    let value = value.map_or_else(|| "no value (a tombstone)".to_owned(), escaped);
    text + "\n    " + &value
}

/// Bytes that are not UTF-8 are shown with replacement characters, and their number is exact.
fn as_json(record: &Record) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = record.headers.as_ref().map(|headers| {
        let headers = headers.iter();
        let header =
            |(name, value): &(String, Option<Vec<u8>>)| json!({"name": name, "value": value.as_deref().map(text)});
        headers.map(header).collect::<Vec<Value>>()
    });
    json!({
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": time(record),
        "key": record.key.as_deref().map(text),
        "headers": headers,
        "value": record.value.as_deref().map(text),
        "valueBytes": record.value.as_ref().map(Vec::len),
    })
}

/// The bytes as text, in which nothing can move the cursor or change a colour.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        match c.is_control() {
            true => text.extend(c.escape_default()),
            false => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_begin_is_an_offset_a_time_or_how_long_ago() {
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

    fn record(partition: i32, offset: i64, value: &str) -> Record {
        Record {
            topic: "orders".to_owned(),
            partition,
            offset,
            timestamp_ms: Some(0),
            key: Some(b"a\x1b[2J".to_vec()),
            headers: Some(vec![("h\r".to_owned(), Some(b"\x07".to_vec()))]),
            value: Some(value.as_bytes().to_vec()),
        }
    }

    #[test]
    fn the_last_records_of_each_partition_are_kept_as_far_as_there_is_room_for_them() {
        let one = size(&record(0, 0, "value"));
        let mut kept = Kept::of(2);
        for offset in 0..100 {
            kept.add(record(0, offset, "value"), 3 * one).unwrap();
        }
        kept.add(record(1, 0, "value"), 3 * one).unwrap();
        assert!(kept.is_full(0) && !kept.is_full(1) && !kept.is_full(2));
        let offsets: Vec<i64> = kept.records[&0].iter().map(|one| one.offset).collect();
        assert_eq!((offsets, kept.bytes), (vec![98, 99], 3 * one));
        let refused = kept.add(record(1, 1, "value"), 3 * one).unwrap_err();
        assert!(refused.to_string().contains("fewer with -n"), "{refused}");
    }

    #[test]
    fn a_record_cannot_write_to_the_terminal_as_it_likes() {
        let record = record(0, 7, "x\n\u{9b}31m\u{fc}");
        let text = as_text(&record);
        let expected = "orders/0/7  1970-01-01T00:00:00.000Z  key a\\u{1b}[2J\n    h\\r: \\u{7}\n    x\\n\\u{9b}31mü";
        assert_eq!(text, expected);
    }
}
