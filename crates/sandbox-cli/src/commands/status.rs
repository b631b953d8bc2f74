//! `sandbox status`: shows processes, changed settings, topics and groups. The rows are made in [`stack::status_rows`].

use std::time::Duration;

use anyhow::Result;
use kafka_admin::Cluster;
use serde_json::json;
use stack::lag_view;
use stack::layout::StackLayout;
use stack::status_rows::{BrokerStatus, ChangedSetting, ProcessRow, broker_status};
use stack::terminal::{Table, say};

/// The time limit of the broker's first answer.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox status\n  ./sandbox status --json | jq '.processes[] | select(.readiness != \"ready\")'"
)]
pub struct Status {
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// Prints everything, or as much as can be read while the broker is down.
pub async fn run(args: Status, layout: &StackLayout) -> Result<()> {
    let side = layout.host_or_container();
    let processes = side.processes(layout).await?;
    let changed = side.changed_settings(layout)?;
    let broker = match side.kafka_may_run(layout)? {
        true => read_broker(layout)
            .await
            .map_err(|error| format!("{error:#}")),
        false => Err("kafka does not run".to_owned()),
    };
    if args.json {
        return show_json(&processes, &changed, broker);
    }
    match (processes.is_empty(), broker.is_err()) {
        (true, true) => {
            say("nothing runs: ./sandbox up");
            return Ok(());
        }
        (true, false) => say("no service runs: ./sandbox up"),
        (false, _) => show_processes(&processes),
    }
    show_changed(&changed);
    match broker {
        Ok(found) => show_broker(&found),
        Err(why) => say(format_args!("\nTopics and groups cannot be shown: {why}")),
    }
    Ok(())
}

fn show_json(
    processes: &[ProcessRow],
    changed: &[ChangedSetting],
    broker: Result<BrokerStatus, String>,
) -> Result<()> {
    let (kafka, kafka_error) = match broker {
        Ok(found) => (Some(found), None),
        Err(why) => (None, Some(why)),
    };
    say(serde_json::to_string_pretty(&json!({
        "processes": processes,
        "settings": changed,
        "kafka": kafka,
        "kafkaError": kafka_error,
    }))?);
    Ok(())
}

fn show_changed(changed: &[ChangedSetting]) {
    if changed.is_empty() {
        return;
    }
    say("\nSettings changed (kept until --unset, reset or down):");
    for one in changed {
        let ChangedSetting {
            service,
            name,
            value,
        } = one;
        say(format_args!("  {service} {name}={value}"));
    }
}

async fn read_broker(layout: &StackLayout) -> Result<BrokerStatus> {
    let cluster = Cluster::new(&layout.kafka())?;
    cluster.ping(TIMEOUT).await?;
    let snapshot = lag_view::read(&mut lag_view::reader(&layout.kafka())).await?;
    Ok(broker_status(&snapshot, cluster.prefix()))
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
            say(format_args!("  last line of {}: {line}", row.name));
        }
    }
}

fn shown_uptime(seconds: u64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

fn show_broker(found: &BrokerStatus) {
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
