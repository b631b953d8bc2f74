//! `sandbox status`: what runs, how it is, and how far behind.

use std::time::Duration;

use anyhow::Result;
use kafka_admin::Cluster;
use serde_json::json;

use stack::lag_view;
use stack::sandbox::Sandbox;
use stack::status_rows::{Brokerage, Changed, ProcessRow, brokerage};
use stack::terminal::{Table, say};

/// How long the broker may take for its first answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// For whom.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox status\n  ./sandbox status --json | jq '.processes[] | select(.readiness != \"ready\")'"
)]
pub struct Status {
    /// For scripts
    #[arg(long)]
    json: bool,
}

/// Shows processes, changed settings, topics and groups.
pub async fn run(args: Status, sandbox: &Sandbox) -> Result<()> {
    let vantage = sandbox.vantage();
    let processes = vantage.processes(sandbox).await?;
    let changed = vantage.changed(sandbox)?;
    let brokerage = match vantage.may_reach_kafka(sandbox)? {
        true => ask_broker(sandbox)
            .await
            .map_err(|error| format!("{error:#}")),
        false => Err("kafka does not run".to_owned()),
    };
    if args.json {
        let (kafka, kafka_error) = match brokerage {
            Ok(found) => (Some(found), None),
            Err(why) => (None, Some(why)),
        };
        say(serde_json::to_string_pretty(&json!({
            "processes": processes,
            "settings": changed,
            "kafka": kafka,
            "kafkaError": kafka_error,
        }))?);
        return Ok(());
    }
    match (processes.is_empty(), brokerage.is_err()) {
        (true, true) => {
            say("nothing runs: ./sandbox up");
            return Ok(());
        }
        (true, false) => say("no service runs: ./sandbox up"),
        (false, _) => show_processes(&processes),
    }
    if !changed.is_empty() {
        say("\nSettings changed (kept until --unset, reset or down):");
        for Changed {
            service,
            name,
            value,
        } in &changed
        {
            say(format_args!("  {service} {name}={value}"));
        }
    }
    match brokerage {
        Ok(found) => show_brokerage(&found),
        Err(why) => say(format_args!("\nTopics and groups cannot be shown: {why}")),
    }
    Ok(())
}

async fn ask_broker(sandbox: &Sandbox) -> Result<Brokerage> {
    let cluster = Cluster::new(&sandbox.kafka())?;
    cluster.answers(PATIENCE).await?;
    let snapshot = lag_view::read(&mut lag_view::reader(&sandbox.kafka())).await?;
    Ok(brokerage(&snapshot, cluster.prefix()))
}

fn show_processes(processes: &[ProcessRow]) {
    let mut table = Table::new(&[
        "process", "pid", "address", "state", "uptime", "memory", "starts",
    ]);
    for row in processes {
        table.row([
            row.name.clone(),
            row.pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            row.address.clone().unwrap_or_else(|| "-".to_owned()),
            row.summary(),
            row.uptime_s.map_or_else(|| "-".to_owned(), shown_uptime),
            row.rss_bytes.map_or_else(
                || "-".to_owned(),
                |bytes| format!("{:.0} MB", bytes as f64 / 1e6),
            ),
            row.starts
                .map_or_else(|| "-".to_owned(), |starts| starts.to_string()),
        ]);
    }
    say(table);
    for row in processes {
        if let Some(line) = &row.last_log_line {
            say(format_args!("  {} said last: {line}", row.name));
        }
    }
}

fn shown_uptime(seconds: u64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

fn show_brokerage(found: &Brokerage) {
    let mut table = Table::new(&["topic", "partitions", "records up to"]);
    for topic in &found.topics {
        let ends: Vec<String> = topic.ends.iter().map(ToString::to_string).collect();
        table.row([
            topic.name.clone(),
            topic.ends.len().to_string(),
            ends.join(" "),
        ]);
    }
    say(format_args!("\n{table}"));
    let mut table = Table::new(&["group", "state", "members", "lag"]);
    for group in &found.groups {
        table.row([
            group.name.clone(),
            group.state.clone(),
            group.members.to_string(),
            group.lag_text.clone(),
        ]);
    }
    say(format_args!("\n{table}"));
}
