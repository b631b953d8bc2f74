//! `sandbox lag`: how far each group is behind, how fast, and what that means.

use std::time::Duration;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use cluster_reader::Snapshot;
use cluster_reader::group_health::{History, Thresholds};
use serde_json::json;
use shared_events::{NamePrefix, Topic};
use tokio::time::{MissedTickBehavior, interval};

use stack::lag_view;
use stack::lag_view::table::{followed, shown};
use stack::lag_view::trend::Trends;
use stack::lag_view::view::{GroupView, views};
use stack::sandbox::Sandbox;
use stack::saved_settings::Memory;
use stack::terminal::{is_watched, say};
use stack::host_or_container::HostOrContainer;
use stack::workload::Workload;

/// Between two readings: a rate needs two.
const TURN: Duration = Duration::from_secs(1);

/// Of which groups, and how often.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox lag\n  ./sandbox lag --group inventory-service-group --watch\n  ./sandbox lag --json | jq '.groups[] | {group, totalLag, status}'\n\nLag is what a read_committed consumer would still get. What Kafka's own tool counts besides stands in brackets: markers of transactions, aborted records, what lies in open transactions or was lost. in/s is how fast the partition grows, out/s how fast the group commits, markers included; for these it is read twice, one second apart."
)]
pub struct Lag {
    /// Only this group of the cluster; the shop's own without the stack's prefix
    #[arg(long)]
    group: Option<String>,

    /// Only this topic; the shop's own without the stack's prefix
    #[arg(long)]
    topic: Option<String>,

    /// Go on, every second, until Ctrl-C
    #[arg(short, long)]
    watch: bool,

    /// For scripts: one object, or with --watch one a line
    #[arg(long)]
    json: bool,

    /// What lag-monitor is told, where only the environment says so: inside the network of docker-compose.yml
    #[arg(long, env = "LAG_THRESHOLD_WARNING", hide = true)]
    lag_threshold_warning: Option<i64>,

    /// The same
    #[arg(long, env = "LAG_THRESHOLD_CRITICAL", hide = true)]
    lag_threshold_critical: Option<i64>,
}

/// Reads twice and shows, once or until it is interrupted. While watching, a reading that fails is said, and no older one is shown in
/// its place.
pub async fn run(args: Lag, sandbox: &Sandbox) -> Result<()> {
    let kafka = sandbox.kafka();
    let prefix = &kafka.name_prefix;
    let group = args
        .group
        .as_ref()
        .map(|group| lag_view::on_broker(group, prefix));
    let topic = args
        .topic
        .as_ref()
        .map(|topic| topic_on_broker(topic, prefix));
    let thresholds = thresholds(&args, sandbox)?;
    let mut reader = lag_view::reader(&kafka);
    if let Some(group) = &group {
        reader.remember(group);
    }
    let mut history = History::default();
    let first = lag_view::read(&mut reader).await?;
    known(&first, group.as_deref(), topic.as_deref())?;
    history.add(first);
    let mut trends = Trends::default();
    let mut turns = interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns.tick().await;
    loop {
        turns.tick().await;
        match lag_view::read(&mut reader).await {
            Ok(snapshot) => {
                let taken_at = snapshot.taken_at;
                history.add(snapshot);
                let views = views(&history, group.as_deref(), topic.as_deref(), thresholds);
                trends.add(followed(&views));
                show(&args, &views, &trends, taken_at)?;
            }
            Err(error) if args.watch => say_failed(&args, &error),
            Err(error) => return Err(error),
        }
        if !args.watch {
            return Ok(());
        }
    }
}

/// From how many unread records on a group is in trouble: as lag-monitor of this stack is told, so that both say the same.
fn thresholds(args: &Lag, sandbox: &Sandbox) -> Result<Thresholds> {
    match sandbox.vantage() {
        HostOrContainer::Host => {
            let changed = Memory::load(sandbox.home())?.settings(Workload::LagMonitor);
            let of = |name: &str| changed.get(name).and_then(|value| value.parse().ok());
            Ok(as_told(
                of("LAG_THRESHOLD_WARNING"),
                of("LAG_THRESHOLD_CRITICAL"),
            ))
        }
        HostOrContainer::Inside => Ok(as_told(
            args.lag_threshold_warning,
            args.lag_threshold_critical,
        )),
    }
}

/// One that is not told is the default; so are both where lag-monitor would refuse them.
fn as_told(warning: Option<i64>, critical: Option<i64>) -> Thresholds {
    let default = Thresholds::default();
    let warning = warning.unwrap_or(default.warning());
    Thresholds::new(warning, critical.unwrap_or(default.critical())).unwrap_or(default)
}

/// The stack's prefix stands before the shop's own topics, and before no other.
fn topic_on_broker(topic: &str, prefix: &NamePrefix) -> String {
    let of_shop = Topic::ALL.into_iter().find(|one| one.name() == topic);
    of_shop.map_or_else(|| topic.to_owned(), |one| prefix.topic(one))
}

/// Refuses what is not there, and says what is.
fn known(snapshot: &Snapshot, group: Option<&str>, topic: Option<&str>) -> Result<()> {
    if let Some(group) = group
        && !snapshot.groups.contains_key(group)
    {
        return Err(lag_view::unknown_group(group, snapshot));
    }
    match topic {
        Some(topic) if !snapshot.topics.contains_key(topic) => {
            let known: Vec<&str> = snapshot.topics.keys().map(String::as_str).collect();
            bail!("no topic {topic}: there are {}", known.join(", "))
        }
        _ => Ok(()),
    }
}

fn show(args: &Lag, views: &[GroupView], trends: &Trends, taken_at: DateTime<Utc>) -> Result<()> {
    if args.json {
        let object = json!({"takenAt": taken_at, "groups": views});
        say(match args.watch {
            true => object.to_string(),
            false => serde_json::to_string_pretty(&object)?,
        });
        return Ok(());
    }
    let text = match views.is_empty() {
        true => "no group reads anything".to_owned(),
        false => shown(views, args.watch.then_some(trends)),
    };
    match args.watch {
        true => redraw(taken_at, &text),
        false => say(text),
    }
    Ok(())
}

/// On a terminal in the place of the last reading, else below it.
fn redraw(at: DateTime<Utc>, text: &str) {
    let at = at.format("%H:%M:%S UTC");
    match is_watched() {
        true => say(format_args!("\x1b[H\x1b[2J{at}\n\n{text}")),
        false => say(format_args!("{at}\n{text}\n")),
    }
}

fn say_failed(args: &Lag, error: &anyhow::Error) {
    match args.json {
        true => say(json!({"takenAt": Utc::now(), "error": format!("{error:#}")})),
        false => redraw(Utc::now(), &format!("not read: {error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_as_lag_monitor_is_told_and_what_it_is_not_told_is_the_default() {
        let of = |warning, critical| {
            let thresholds = as_told(warning, critical);
            (thresholds.warning(), thresholds.critical())
        };
        assert_eq!(of(None, None), (100, 500));
        assert_eq!(of(Some(7), None), (7, 500));
        assert_eq!(of(None, Some(200)), (100, 200));
        assert_eq!(of(Some(600), None), (100, 500));
    }
}
