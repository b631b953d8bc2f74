//! `sandbox logs --order ID`: one order's whole journey. What Kafka holds of it, what order-service made of that, and what the
//! services said meanwhile.

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use kafka_admin::Cluster;
use kafka_admin::records::Record;
use shared_events::{OrderId, Topic};

use crate::dead_letter_view::readable;
use scenario_runner::probes::about;
use stack::sandbox::Sandbox;
use stack::shop_client::Shop;
use stack::merged_logs::Line;
use stack::terminal::{Usage, note, say};

/// Bytes of a record's value that are shown.
const SHOWN: usize = 400;

/// Shows it. What cannot be asked (a broker or a service that is away) is said, and the rest is shown all the same.
pub async fn run(order: &str, sandbox: &Sandbox) -> Result<()> {
    let id: OrderId = order
        .parse()
        .map_err(|limit| Usage::error(format_args!("{order}: an order id {limit}")))?;
    say(format_args!("Records of order {id}, oldest first"));
    match records(id, sandbox).await {
        Ok(records) if records.is_empty() => say("  none"),
        Ok(records) => records.iter().for_each(show_record),
        Err(error) => note(format_args!("  unknown: {error:#}")),
    }
    say("\nFacts, as order-service has them");
    match Shop::new(sandbox)?.order(id).await {
        Ok(None) => say("  order-service knows no such order"),
        Ok(Some(order)) => {
            for fact in &order.facts {
                say(format_args!(
                    "  {}  {}  {}",
                    time(fact.at),
                    fact.event,
                    fact.event_id
                ));
            }
            say(format_args!("  {order}"));
        }
        Err(error) => note(format_args!("  unknown: {error:#}")),
    }
    if let Some(lines) = sandbox.vantage().lines_about(sandbox, id)? {
        show_lines(&lines);
    }
    Ok(())
}

fn show_lines(lines: &[Line]) {
    say("\nLog lines that name it");
    if lines.is_empty() {
        say("  none (what goes well is not logged one by one; RUST_LOG=debug does)");
    }
    for line in lines {
        say(format_args!("  {:<19} {}", line.name, line.text));
    }
}

/// From all topics, the dead letters included.
async fn records(id: OrderId, sandbox: &Sandbox) -> Result<Vec<Record>> {
    let cluster = Cluster::new(&sandbox.kafka())?;
    let topics = Topic::ALL.map(|topic| cluster.prefix().topic(topic));
    let mut records = cluster.read_all(&topics, &about(id)).await?;
    // By time; of one time, in the order of a story: orders before payments before inventory, dead letters last.
    let story = |record: &Record| topics.iter().position(|topic| *topic == record.topic);
    records.sort_by_key(|record| (record.timestamp_ms, story(record), record.offset));
    Ok(records)
}

fn show_record(record: &Record) {
    let at = record
        .timestamp_ms
        .and_then(DateTime::from_timestamp_millis);
    let at = at.map_or_else(|| "no time".to_owned(), time);
    let Record {
        topic,
        partition,
        offset,
        ..
    } = record;
    say(format_args!("  {at}  {topic}/{partition}/{offset}"));
    for (name, value) in record.header_pairs() {
        let value = value.map_or_else(|| "none".to_owned(), readable);
        say(format_args!("      {name}: {value}"));
    }
    match record.value.as_deref() {
        None => say("      no value"),
        Some(value) => say(format_args!(
            "      {}",
            readable(value.get(..SHOWN).unwrap_or(value))
        )),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
