//! `sandbox topics list` and `describe`.

use anyhow::Result;
use kafka_admin::Cluster;
use kafka_admin::topic_admin::TopicDescription;
use serde_json::{Value, json};
use stack::terminal::{Table, note, say};

use super::topic_name;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox topics list")]
pub struct List {
    /// Print JSON: an array with one object for each topic
    #[arg(long)]
    json: bool,
}

/// The topic to describe.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox topics describe payments")]
pub struct Describe {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic_name)]
    name: String,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(args: List, cluster: &Cluster) -> Result<()> {
    let mut names = cluster.topic_names().await?;
    names.sort();
    let mut topics = Vec::new();
    for name in names {
        topics.push(cluster.describe_topic(&name).await?);
    }
    if args.json {
        let all: Vec<Value> = topics.iter().map(as_json).collect();
        say(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if topics.is_empty() {
        note("there are no topics: ./sandbox topics create");
        return Ok(());
    }
    let mut table = Table::new(&["topic", "partitions", "records at most", "cleanup"]);
    for topic in &topics {
        let cleanup = topic.config.get("cleanup.policy");
        table.row([
            topic.name.clone(),
            topic.partitions.len().to_string(),
            topic.records_at_most().to_string(),
            cleanup.map_or("delete", String::as_str).to_owned(),
        ]);
    }
    say(table);
    Ok(())
}

pub(super) async fn describe(args: Describe, cluster: &Cluster) -> Result<()> {
    let topic = cluster
        .describe_topic(&cluster.topic_name(&args.name))
        .await?;
    if args.json {
        say(serde_json::to_string_pretty(&as_json(&topic))?);
        return Ok(());
    }
    let mut table = Table::new(&[
        "partition",
        "leader",
        "replicas",
        "in sync",
        "first offset",
        "end offset",
    ]);
    for partition in &topic.partitions {
        table.row([
            partition.number.to_string(),
            or_none(partition.leader),
            joined(&partition.replicas),
            joined(&partition.in_sync),
            or_none(partition.low_watermark),
            or_none(partition.high_watermark),
        ]);
    }
    say(format_args!("{}\n{table}", topic.name));
    match topic.config.is_empty() {
        true => say("\nAll its settings are the broker's defaults"),
        false => say("\nSettings that are not the broker's defaults"),
    }
    for (name, value) in &topic.config {
        say(format_args!("  {name}={value}"));
    }
    Ok(())
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn joined(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(" ")
}

fn as_json(topic: &TopicDescription) -> Value {
    let partitions: Vec<Value> = topic
        .partitions
        .iter()
        .map(|one| {
            json!({
                "partition": one.number,
                "leader": one.leader,
                "replicas": one.replicas,
                "inSync": one.in_sync,
                "firstOffset": one.low_watermark,
                "endOffset": one.high_watermark,
            })
        })
        .collect();
    json!({
        "topic": topic.name,
        "partitions": partitions,
        "recordsAtMost": topic.records_at_most(),
        "config": topic.config,
    })
}
