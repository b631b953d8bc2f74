//! `sandbox status`: shows processes, changed settings and controls, topics, groups and stuck orders. The rows are made in
//! [`stack::status_rows`].

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use kafka_admin::Cluster;
use serde_json::json;
use shared_events::Service;
use stack::lag_view;
use stack::layout::{Instance, StackLayout};
use stack::shop_client::ShopClient;
use stack::status_rows::broker::{BrokerStatus, broker_status};
use stack::status_rows::members::{ControlRow, MemberRows, member_rows};
use stack::status_rows::stuck_orders::{StuckOrders, stuck_orders};
use stack::status_rows::{ChangedSetting, ProcessRow};
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

/// Everything that is shown. A part that cannot be read is the reason for that.
struct Shown {
    warnings: Vec<String>,
    processes: Vec<ProcessRow>,
    changed: Vec<ChangedSetting>,
    members: MemberRows,
    broker: Result<BrokerStatus, String>,
    stuck: Result<StuckOrders, String>,
}

/// Prints everything, or as much as can be read while broker, database or services are down.
pub async fn run(args: Status, layout: &StackLayout) -> Result<()> {
    let shown = read(layout).await?;
    if args.json {
        return show_json(&shown);
    }
    for warning in &shown.warnings {
        say(format_args!("warning: {warning}"));
    }
    match (shown.processes.is_empty(), shown.broker.is_err()) {
        (true, true) => {
            say("nothing runs: ./sandbox up");
            return Ok(());
        }
        (true, false) => say("no service runs: ./sandbox up"),
        (false, _) => show_processes(&shown),
    }
    show_changed(&shown.changed);
    show_controls(&shown.members.controls);
    match &shown.broker {
        Ok(found) => show_broker(found),
        Err(why) => say(format_args!("\nTopics and groups cannot be shown: {why}")),
    }
    say(format_args!("\n{}", stuck_text(&shown.stuck)));
    say("\nWhich command to type first at which symptom: docs/on-call.md");
    Ok(())
}

async fn read(layout: &StackLayout) -> Result<Shown> {
    let side = layout.host_or_container();
    let warnings = side.warnings(layout)?;
    let processes = side.processes(layout).await?;
    let changed = side.changed_settings(layout)?;
    let mut instances = Vec::new();
    for service in Service::ALL {
        instances.extend(layout.instances(service).await?);
    }
    let members = member_rows(layout, &instances, &processes);
    let broker = read_broker(layout, &instances);
    let stuck = read_stuck(layout, &processes);
    let (members, broker, stuck) = tokio::join!(members, broker, stuck);
    let why = |error| format!("{error:#}");
    Ok(Shown {
        warnings,
        processes,
        changed,
        members: members?,
        broker: broker.map_err(why),
        stuck: stuck.map_err(why),
    })
}

async fn read_broker(layout: &StackLayout, instances: &[Instance]) -> Result<BrokerStatus> {
    let may_run = layout.host_or_container().kafka_may_run(layout)?;
    may_run.then_some(()).context("kafka does not run")?;
    let cluster = Cluster::new(&layout.kafka())?;
    cluster.ping(TIMEOUT).await?;
    let mut reader = lag_view::reader(&layout.kafka());
    let snapshot = lag_view::read_counted(&mut reader, None).await?;
    Ok(broker_status(&snapshot, cluster.prefix(), instances))
}

async fn read_stuck(layout: &StackLayout, processes: &[ProcessRow]) -> Result<StuckOrders> {
    let answers = processes.iter().any(|row| {
        row.name.starts_with(Service::Order.name())
            && row.readiness.is_some_and(|word| word != "silent")
    });
    answers
        .then_some(())
        .with_context(|| format!("{} does not answer", Service::Order))?;
    stuck_orders(&ShopClient::new(layout)?).await
}

fn show_json(shown: &Shown) -> Result<()> {
    let object = json!({
        "warnings": shown.warnings,
        "processes": shown.processes,
        "settings": shown.changed,
        "controls": shown.members.controls,
        "conditions": shown.members.conditions,
        "stuckOrders": shown.stuck.as_ref().ok(),
        "kafka": shown.broker.as_ref().ok(),
        "kafkaError": shown.broker.as_ref().err(),
    });
    say(serde_json::to_string_pretty(&object)?);
    Ok(())
}

fn show_processes(shown: &Shown) {
    let mut table = Table::new(&[
        "process", "pid", "address", "state", "uptime", "memory", "starts",
    ]);
    for row in &shown.processes {
        table.row([
            row.name.clone(),
            or_dash(row.pid),
            or_dash(row.address.as_ref()),
            row.summary().to_owned(),
            or_dash(row.uptime_s.map(shown_uptime)),
            or_dash(
                row.rss_bytes
                    .map(|bytes| format!("{:.0} MB", bytes as f64 / 1e6)),
            ),
            or_dash(row.starts),
        ]);
    }
    say(table);
    let reasons = reasons(&shown.processes, &shown.members, Utc::now());
    if !reasons.is_empty() {
        let mut table = Table::of_sentences();
        for reason in reasons {
            table.row(reason);
        }
        say(format_args!("\n{table}"));
    }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Why each process is not ready or does not work, in sentences. The reason of readiness contains the causes that the member
/// names with their times; the others follow.
fn reasons(processes: &[ProcessRow], members: &MemberRows, now: DateTime<Utc>) -> Vec<[String; 2]> {
    let mut reasons = Vec::new();
    for row in processes {
        let mut sentences: Vec<String> = row.reason.iter().cloned().collect();
        let own = members.conditions.iter();
        for condition in own.filter(|one| one.member == row.name) {
            let with_time = format!("{}, since {}", condition.cause, time(condition.since, now));
            match sentences.first_mut() {
                Some(first) if first.contains(&condition.cause) => {
                    *first = first.replacen(&condition.cause, &with_time, 1);
                }
                _ => sentences.push(with_time),
            }
        }
        if let Some(line) = &row.last_log_line {
            sentences.push(format!("last line of its log: {line}"));
        }
        let named = sentences.into_iter().map(|one| [row.name.clone(), one]);
        reasons.extend(named);
    }
    reasons
}

/// `03:58:28 UTC`, with the date if it is not today's.
fn time(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let format = match at.date_naive() == now.date_naive() {
        true => "%H:%M:%S UTC",
        false => "%Y-%m-%d %H:%M:%S UTC",
    };
    at.format(format).to_string()
}

fn shown_uptime(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
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

fn show_controls(controls: &[ControlRow]) {
    if controls.is_empty() {
        return;
    }
    say(
        "\nControls (of a group until `consumer clear` or reset, of an instance also until its end):",
    );
    for line in control_lines(controls, Utc::now()) {
        say(format_args!("  {line}"));
    }
}

fn control_lines(controls: &[ControlRow], now: DateTime<Utc>) -> Vec<String> {
    let line = |row: &ControlRow| {
        let by = match row.source {
            "group" => "for the group, by its record in sandbox.controls",
            _ => "for this instance alone, over HTTP",
        };
        let since = row
            .since
            .map_or_else(String::new, |since| format!(", since {}", time(since, now)));
        format!("{} {}={}  {by}{since}", row.of, row.name, row.value)
    };
    controls.iter().map(line).collect()
}

fn show_broker(found: &BrokerStatus) {
    let mut table = Table::new(&["topic", "partitions", "records from", "up to"]);
    for topic in &found.topics {
        let partitions = match topic.ends.len() {
            0 => "does not exist".to_owned(),
            count => count.to_string(),
        };
        let [starts, ends] = [&topic.starts, &topic.ends].map(|offsets| {
            let offsets: Vec<String> = offsets.iter().map(ToString::to_string).collect();
            offsets.join(" ")
        });
        table.row([topic.name.clone(), partitions, starts, ends]);
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
    let mut table = Table::new(&["member", "owns"]);
    let owners: Vec<_> = found
        .groups
        .iter()
        .flat_map(|group| &group.owners)
        .collect();
    for owner in &owners {
        let owns = match owner.partitions.is_empty() {
            true => "no partition".to_owned(),
            false => owner.partitions.join(" "),
        };
        table.row([owner.member.clone(), owns]);
    }
    if !owners.is_empty() {
        say(format_args!("\n{table}"));
    }
}

fn stuck_text(stuck: &Result<StuckOrders, String>) -> String {
    let stuck = match stuck {
        Err(why) => return format!("Stuck orders cannot be shown: {why}"),
        Ok(stuck) if stuck.count == 0 => return "No order is stuck.".to_owned(),
        Ok(stuck) => stuck,
    };
    let mut text = format!(
        "{}{} stuck: the saga has not ended, and had no event for a minute (./sandbox orders --stuck):",
        if stuck.has_more { "over " } else { "" },
        match stuck.count {
            1 => "1 order is".to_owned(),
            count => format!("{count} orders are"),
        },
    );
    for (events, count) in &stuck.waiting_for {
        let verb = if *count == 1 { "waits" } else { "wait" };
        text += &format!("\n  {count} {verb} for {events}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stack::status_rows::members::ConditionRow;

    use super::*;

    fn row(name: &str, reason: Option<&str>) -> ProcessRow {
        ProcessRow {
            name: name.to_owned(),
            state: "running",
            pid: Some(1),
            address: None,
            readiness: Some("not_ready"),
            reason: reason.map(str::to_owned),
            uptime_s: None,
            rss_bytes: None,
            starts: None,
            ending: None,
            last_log_line: None,
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_reason_is_shown_once_with_its_time_and_no_column_grows_with_it() {
        let long = "blocked before payments/1 offset 226: ".repeat(20);
        let long = long.trim();
        let processes = [row("payment-service.1", Some(&format!("consumer: {long}")))];
        let condition = |cause: &str| ConditionRow {
            member: "payment-service.1".to_owned(),
            cause: cause.to_owned(),
            since: at(90_000),
        };
        let members = MemberRows {
            controls: Vec::new(),
            conditions: vec![condition(long), condition("paused")],
        };
        let reasons = reasons(&processes, &members, at(90_010));
        let name = || "payment-service.1".to_owned();
        assert_eq!(
            reasons,
            [
                [name(), format!("consumer: {long}, since 01:00:00 UTC")],
                [name(), "paused, since 01:00:00 UTC".to_owned()],
            ]
        );
        assert_eq!(processes[0].summary(), "not ready");
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        assert_eq!(time(at(0), at(86_399)), "00:00:00 UTC");
        assert_eq!(time(at(0), at(86_400)), "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn a_control_says_for_whom_by_what_and_since_when() {
        let rows = [
            ControlRow {
                of: "payment-service".to_owned(),
                source: "group",
                name: "paused",
                value: "true".to_owned(),
                since: Some(at(60)),
            },
            ControlRow {
                of: "inventory-service.2".to_owned(),
                source: "instance",
                name: "processing_time_ms",
                value: "4000".to_owned(),
                since: None,
            },
        ];
        assert_eq!(
            control_lines(&rows, at(70)),
            [
                "payment-service paused=true  for the group, by its record in sandbox.controls, since 00:01:00 UTC",
                "inventory-service.2 processing_time_ms=4000  for this instance alone, over HTTP",
            ]
        );
    }

    #[test]
    fn stuck_orders_are_shown_with_what_they_wait_for() {
        let none = Ok(StuckOrders::default());
        assert_eq!(stuck_text(&none), "No order is stuck.");
        let stuck = |count, has_more| {
            Ok(StuckOrders {
                count,
                has_more,
                waiting_for: BTreeMap::from([("PaymentRefunded".to_owned(), count)]),
            })
        };
        let one = stuck_text(&stuck(1, false));
        assert!(
            one.starts_with("1 order is stuck") && one.ends_with("1 waits for PaymentRefunded"),
            "{one}"
        );
        let many = stuck_text(&stuck(10_000, true));
        assert!(many.starts_with("over 10000 orders are stuck"), "{many}");
    }
}
