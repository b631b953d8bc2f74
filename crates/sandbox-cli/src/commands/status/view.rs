//! The text of `status`: tables that are as wide as their content allows, and sentences that are wrapped.

use std::time::Duration;

use chrono::{DateTime, Utc};
use faults::broken::BrokenFault;
use stack::status_rows::broker::{BrokerStatus, TopicRow};
use stack::status_rows::members::{ControlRow, MemberRows};
use stack::status_rows::stuck_orders::StuckOrders;
use stack::status_rows::{ChangedSetting, ProcessRow};
use stack::terminal::{Table, say};

use super::Shown;

/// Prints all parts, each as far as it could be read.
pub(super) fn show(shown: &Shown) {
    for warning in &shown.warnings {
        say(format_args!("warning: {warning}"));
    }
    show_broken(&shown.broken);
    match (shown.processes.is_empty(), shown.broker.is_err()) {
        (true, true) => {
            say("nothing runs: ./sandbox up");
            return;
        }
        (true, false) => say("no service runs: ./sandbox up"),
        (false, _) => show_processes(shown),
    }
    for name in &shown.scaled_to_zero {
        say(format_args!(
            "\n{name} has no instance: it is scaled to 0. ./sandbox scale {name}=1 starts one"
        ));
    }
    show_changed(&shown.changed);
    show_controls(&shown.members.controls);
    match &shown.broker {
        Ok(found) => show_broker(found),
        Err(why) => say_wrapped(&format!("Topics and groups cannot be shown: {why}")),
    }
    show_stuck(&shown.stuck);
    say("\nWhich command to type first at which symptom: docs/on-call.md");
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

fn show_broken(broken: &[BrokenFault]) {
    if broken.is_empty() {
        return;
    }
    say("Broken on purpose (until ./sandbox repair):");
    for BrokenFault { name, since } in broken {
        say(format_args!("  {name} since {since}"));
    }
    say("");
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
    let topics = found.topics.iter();
    // With one replica, leader and replica in sync are the only broker.
    let is_replicated = topics.map(|topic| topic.replicas).max() > Some(1);
    let titles = ["topic", "partitions", "records from", "up to"].into_iter();
    let titles = titles.chain(["leaders", "in sync"].into_iter().filter(|_| is_replicated));
    let mut table = Table::new(&titles.collect::<Vec<_>>());
    for topic in &found.topics {
        let partitions = match topic.ends.len() {
            0 => "does not exist".to_owned(),
            count => count.to_string(),
        };
        let [starts, ends] = [&topic.starts, &topic.ends].map(|offsets| {
            let offsets: Vec<String> = offsets.iter().map(ToString::to_string).collect();
            offsets.join(" ")
        });
        let mut row = vec![topic.name.clone(), partitions, starts, ends];
        if is_replicated {
            row.extend([joined(&topic.leaders, " "), in_sync(topic)]);
        }
        table.row(row);
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

/// The brokers in sync of each partition: `1,2,3 1,2,3 1,3`.
fn in_sync(topic: &TopicRow) -> String {
    let each: Vec<String> = topic.in_sync.iter().map(|ids| joined(ids, ",")).collect();
    each.join(" ")
}

fn joined(ids: &[i32], separator: &str) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(separator)
}

fn show_stuck(stuck: &Result<StuckOrders, String>) {
    match stuck {
        Ok(stuck) => say(format_args!("\n{}", stuck_text(stuck))),
        Err(why) => say_wrapped(&format!("Stuck orders cannot be shown: {why}")),
    }
}

/// A sentence of any length, after an empty line.
fn say_wrapped(sentence: &str) {
    let mut table = Table::of_sentences();
    table.row([sentence]);
    say(format_args!("\n{table}"));
}

fn stuck_text(stuck: &StuckOrders) -> String {
    if stuck.count == 0 {
        return "No order is stuck.".to_owned();
    }
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
mod tests;
