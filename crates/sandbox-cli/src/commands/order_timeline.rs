//! `sandbox logs --order ID`: everything about one order: its records in Kafka, its facts in order-service, and the log lines
//! that name it.

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use kafka_admin::Cluster;
use kafka_admin::records::{ReadRecords, Record};
use scenario_runner::probes::about;
use shared_events::{OrderId, Topic};
use stack::layout::StackLayout;
use stack::merged_logs::LogLine;
use stack::shop_client::{ShopClient, describe_order};
use stack::terminal::{Usage, note, say};

use super::record_text::{visible, visible_or_none, visible_start};

/// The bytes of a record's value that are printed.
const MAX_VALUE_BYTES: usize = 400;

/// Prints everything that can be read. A broker or a service that cannot be reached is one note.
pub async fn run(order: &str, layout: &StackLayout) -> Result<()> {
    let id: OrderId = order
        .parse()
        .map_err(|limit| Usage::error(format_args!("{order}: an order id {limit}")))?;
    say(format_args!("Records of order {id}, oldest first"));
    match records(id, layout).await {
        Ok(read) => {
            if read.records.is_empty() {
                say("  none");
            }
            read.records.iter().for_each(show_record);
            for missing in &read.missing {
                note(format_args!("  {missing}"));
            }
        }
        Err(error) => note(format_args!("  unknown: {error:#}")),
    }
    say("\nFacts in order-service");
    match ShopClient::new(layout)?.order(id).await {
        Ok(None) => say("  order-service has no such order"),
        Ok(Some(order)) => {
            for fact in &order.facts {
                say(format_args!(
                    "  {}  {}  {}",
                    time(fact.at),
                    fact.event,
                    fact.event_id
                ));
            }
            say(format_args!("  {}", describe_order(&order)));
        }
        Err(error) => note(format_args!("  unknown: {error:#}")),
    }
    if let Some(lines) = layout
        .host_or_container()
        .log_lines_about_order(layout, id)?
    {
        show_lines(&lines);
    }
    Ok(())
}

fn show_lines(lines: &[LogLine]) {
    say("\nLog lines that name it");
    if lines.is_empty() {
        say("  none (a successful record is logged at level debug only: RUST_LOG=debug)");
    }
    for line in lines {
        say(format_args!("  {:<19} {}", line.name, line.text));
    }
}

/// The records of the order in all topics, dead letters included.
async fn records(id: OrderId, layout: &StackLayout) -> Result<ReadRecords> {
    let cluster = Cluster::new(&layout.kafka())?;
    let topics = Topic::ALL.map(|topic| cluster.prefix().topic(topic));
    let mut read = cluster.read_all_and_missing(&topics, &about(id)).await?;
    // By time. Records of the same time are in the order of the saga: orders, payments, inventory, dead letters.
    let saga_step = |record: &Record| topics.iter().position(|topic| *topic == record.topic);
    read.records
        .sort_by_key(|record| (record.timestamp_ms, saga_step(record), record.offset));
    Ok(read)
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
        say(format_args!(
            "      {}: {}",
            visible(name.as_bytes()),
            visible_or_none(value)
        ));
    }
    match record.value.as_deref() {
        None => say("      no value"),
        Some(value) => say(format_args!(
            "      {}",
            visible_start(value, MAX_VALUE_BYTES)
        )),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
