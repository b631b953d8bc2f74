//! `sandbox audit`: checks the guarantees of the shop against its topics and databases.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use audit::{Allowed, Audit, CaughtUp, Report, Rule, RuleResult, Sources, WaitingFor};
use chrono::{DateTime, TimeDelta, Utc};
use scenario_runner::conditions::{Observation, until};
use serde_json::{Value, json};
use service_kit::settings::duration_between;
use stack::container_databases::ContainerPostgres;
use stack::host_or_container::HostOrContainer;
use stack::layout::{Database, StackLayout};
use stack::terminal::{Progress, counted, note, say};

/// What to audit, and when.
#[derive(Debug, clap::Args)]
#[command(
    name = "audit",
    after_help = "Examples:\n  ./sandbox audit --wait\n  ./sandbox audit --wait 5m --since 10m\n  ./sandbox audit --json | jq .orders.lost\n\nReads every topic and both databases, and asks no service. The first line has the figures:\n  accepted      orders with an OrderCreated, in the database or in the topic; accepted = ended + waiting + lost\n  waiting       something can still continue them: a row of the outbox, an unread record, a dead letter\n  lost          they have not ended, and nothing can continue them\n  doubled       records beyond the first of the same event\n  out of order  orders whose events are in one topic in the reverse order of the saga\nThen there is a line for each invariant. Duplicates alone violate none, because DELIVERY=at-least-once and a killed relay may\nproduce them; with exactly-once and no killed relay there are 0. The temporary files take about 350 bytes for each order.\nExit code 1: an invariant is violated, or --wait has not seen the shop caught up."
)]
pub struct AuditArgs {
    /// First wait until the outbox is empty and every group is caught up, at most this long [default: 60s]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "60s", value_parser = duration_between(0, 3_600))]
    pub wait: Option<Duration>,

    /// Only orders created since this time (2026-01-31T12:00:00Z), or since this long ago (10m), by the time in the order id.
    /// Stock, offsets and outbox are checked as a whole
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,

    /// Print JSON: one object with figures, invariants and notes
    #[arg(long)]
    pub json: bool,

    /// The databases in Docker mode.
    #[command(flatten)]
    pub server: ContainerPostgres,
}

/// The clock that a script has read may be ahead of the clock of a container by this much.
const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(1);

/// A time in the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since(DateTime<Utc>);

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const LIMIT: &str = "must be a time as in 2026-01-31T12:00:00Z, or how long ago, as in 10m";
        let now = Utc::now();
        let ago = humantime::parse_duration(text).ok();
        let time = match ago.map(TimeDelta::from_std) {
            Some(ago) => ago.ok().and_then(|ago| now.checked_sub_signed(ago)),
            None => DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|time| time.to_utc()),
        };
        match time {
            None => Err(LIMIT),
            Some(time) if time > now + CLOCK_SLACK => Err("must not be in the future"),
            Some(time) => Ok(Self(time)),
        }
    }
}

pub async fn run(args: AuditArgs, layout: &StackLayout) -> Result<()> {
    let sources = sources(&args, layout);
    let waited = match args.wait {
        Some(within) => wait(&sources, within).await,
        None => Ok(()),
    };
    let audit = Audit {
        sources: &sources,
        allowed: Allowed::anything(),
        since: args.since.map(|since| since.0),
        accepted_by_client: Vec::new(),
    };
    let report = {
        let _progress = Progress::new("reading topics and databases");
        audit.run().await.context("the audit cannot read")?
    };
    match args.json {
        true => say(serde_json::to_string_pretty(&to_json(&report)?)?),
        false => show(&report),
    }
    match report.violated().len() {
        0 => waited,
        violated => bail!(
            "{violated} of {} violated",
            counted(report.rules.len(), "invariant")
        ),
    }
}

/// Databases and broker as this program reaches them.
fn sources(args: &AuditArgs, layout: &StackLayout) -> Sources {
    match layout.host_or_container() {
        HostOrContainer::Host => host_sources(layout),
        HostOrContainer::Container => {
            sources_at(layout, |database| args.server.connection_url(database))
        }
    }
}

/// Databases and broker as the host reaches them.
pub(super) fn host_sources(layout: &StackLayout) -> Sources {
    sources_at(layout, |database| layout.connection_url(database))
}

/// Temporary files are on the disk of the stack, because `/tmp` may be memory.
fn sources_at(layout: &StackLayout, url: impl Fn(Database) -> String) -> Sources {
    let [orders, inventory] = Database::ALL;
    Sources {
        kafka: layout.kafka(),
        orders_database: url(orders),
        inventory_database: url(inventory),
        scratch: match layout.home().is_dir() {
            true => layout.home().to_owned(),
            false => std::env::temp_dir(),
        },
    }
}

async fn wait(sources: &Sources, within: Duration) -> Result<()> {
    let _progress = Progress::new("waiting until the shop is caught up");
    let mut caught_up = CaughtUp::new(sources);
    let seen = until(within, async || {
        Ok(match caught_up.look().await? {
            Ok(()) => Observation::Holds(String::new()),
            Err(left) => Observation::Not(left),
        })
    });
    seen.await.map(drop).context("the shop is not caught up")
}

fn show(report: &Report) {
    say(report);
    for line in details(report) {
        note(line);
    }
}

/// What the line of figures has no room for.
fn details(report: &Report) -> Vec<String> {
    let figures = &report.figures;
    let mut lines = Vec::new();
    if figures.waiting > 0 {
        let WaitingFor {
            outbox,
            unread,
            retry,
            dead_letter,
            discarded,
            open_transaction,
        } = figures.waiting_for;
        lines.push(format!(
            "waiting: in the outbox {outbox} · unread {unread} · to be tried again {retry} · dead letter {dead_letter} · dead letter discarded {discarded} · behind an open transaction {open_transaction}"
        ));
    }
    if figures.doubled > 0 {
        let of_topic = figures.doubled_in.iter();
        let of_topic: Vec<_> = of_topic
            .map(|(topic, count)| format!("{topic} {count}"))
            .collect();
        lines.push(format!("doubled: {}", of_topic.join(" · ")));
    }
    let counted = [
        (
            figures.replayed,
            "records were published by a replay of dead letters",
        ),
        (
            figures.unknown_type,
            "records were skipped, because their event type is unknown",
        ),
        (
            figures.split_over_partitions,
            "orders have records of one topic on several partitions",
        ),
        (
            figures.older_than_log,
            "orders may have had records that were deleted",
        ),
    ];
    let counted = counted.iter().filter(|(count, _)| *count > 0);
    lines.extend(counted.map(|(count, what)| format!("{count} {what}")));
    lines.extend(report.notes.iter().cloned());
    lines
}

fn to_json(report: &Report) -> Result<Value> {
    let invariants = report
        .rules
        .iter()
        .map(|(rule, result)| invariant(*rule, result));
    Ok(json!({
        "orders": serde_json::to_value(&report.figures)?,
        "invariants": invariants.collect::<Vec<_>>(),
        "notes": report.notes,
    }))
}

fn invariant(rule: Rule, result: &RuleResult) -> Value {
    let first = result.first.as_ref().map(|first| {
        json!({
            "order": first.order,
            "what": first.what,
            "look": first.look,
        })
    });
    json!({
        "name": rule.name(),
        "passed": result.violations == 0,
        "checked": result.checked,
        "violations": result.violations,
        "firstViolation": first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_a_time_or_an_age() {
        let time: Since = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(time.0.timestamp(), 1_769_860_800);
        let age = "10m".parse::<Since>().unwrap().0;
        assert!((595..=605).contains(&(Utc::now() - age).num_seconds()));
        for bad in [
            "",
            "10",
            "yesterday",
            "-5m",
            "2026-01-31",
            "999999999999y",
            "9999-12-31T23:59:59Z",
        ] {
            assert!(bad.parse::<Since>().is_err(), "{bad}");
        }
    }
}
