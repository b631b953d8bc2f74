//! `sandbox lag`: shows the lag, the rates and the health of each group.

use std::time::Duration;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use cluster_reader::Snapshot;
use cluster_reader::group_health::{History, Thresholds};
use serde_json::json;
use shared_events::{NamePrefix, Topic};
use stack::host_or_container::HostOrContainer;
use stack::lag_view;
use stack::lag_view::lag_rows::{GroupLagView, group_lag_views};
use stack::lag_view::lag_table::{lag_values, render};
use stack::lag_view::sparkline::Sparklines;
use stack::layout::StackLayout;
use stack::saved_settings::SavedSettings;
use stack::terminal::{say, stdout_is_terminal};
use stack::workload::Workload;
use tokio::time::{MissedTickBehavior, interval};

/// The time between two snapshots. A rate needs two of them.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The groups, and how often.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox lag\n  ./sandbox lag --group inventory-service-group --watch\n  ./sandbox lag --json | jq '.groups[] | {group, totalLag, status}'\n\nLag is the number of records that a read_committed consumer would still get. In brackets: what Kafka's own tool counts as lag, too: transaction markers, aborted records, records of open transactions, lost records. in/s is how fast the partition grows, out/s how fast the group commits, markers included; both need two reads, one second apart."
)]
pub struct Lag {
    /// Only this group; a group of the shop is typed without the stack's prefix
    #[arg(long)]
    group: Option<String>,

    /// Only this topic; a topic of the shop is typed without the stack's prefix
    #[arg(long)]
    topic: Option<String>,

    /// Repeat every second, until Ctrl-C
    #[arg(short, long)]
    watch: bool,

    /// Print JSON, for scripts: one object, or with --watch one object a line
    #[arg(long)]
    json: bool,

    /// The setting of lag-monitor. In a container only the environment knows it
    #[arg(long, env = "LAG_THRESHOLD_WARNING", hide = true)]
    lag_threshold_warning: Option<i64>,

    /// The setting of lag-monitor
    #[arg(long, env = "LAG_THRESHOLD_CRITICAL", hide = true)]
    lag_threshold_critical: Option<i64>,
}

/// Reads two snapshots and prints, once or until Ctrl-C. While watching, a failed read is printed instead of old values.
pub async fn run(args: Lag, layout: &StackLayout) -> Result<()> {
    let kafka = layout.kafka();
    let prefix = &kafka.name_prefix;
    let group = args
        .group
        .as_ref()
        .map(|group| lag_view::prefixed_group(group, prefix));
    let topic = args
        .topic
        .as_ref()
        .map(|topic| prefixed_topic(topic, prefix));
    let thresholds = thresholds(&args, layout)?;
    let mut reader = lag_view::reader(&kafka);
    if let Some(group) = &group {
        reader.remember(group);
    }
    let mut history = History::default();
    let first = lag_view::read(&mut reader).await?;
    require_known(&first, group.as_deref(), topic.as_deref())?;
    history.add(first);
    let mut sparklines = Sparklines::default();
    let mut turns = interval(POLL_INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns.tick().await;
    loop {
        turns.tick().await;
        match lag_view::read(&mut reader).await {
            Ok(snapshot) => {
                let taken_at = snapshot.taken_at;
                history.add(snapshot);
                let views =
                    group_lag_views(&history, group.as_deref(), topic.as_deref(), thresholds);
                sparklines.add(lag_values(&views));
                show(&args, &views, &sparklines, taken_at)?;
            }
            Err(error) if args.watch => show_failure(&args, &error),
            Err(error) => return Err(error),
        }
        if !args.watch {
            return Ok(());
        }
    }
}

/// The thresholds of this stack's lag-monitor, so that both report the same health.
fn thresholds(args: &Lag, layout: &StackLayout) -> Result<Thresholds> {
    match layout.host_or_container() {
        HostOrContainer::Host => {
            let changed = SavedSettings::load(layout.home())?.settings(Workload::LagMonitor);
            let of = |name: &str| changed.get(name).and_then(|value| value.parse().ok());
            Ok(valid_thresholds(
                of("LAG_THRESHOLD_WARNING"),
                of("LAG_THRESHOLD_CRITICAL"),
            ))
        }
        HostOrContainer::Container => Ok(valid_thresholds(
            args.lag_threshold_warning,
            args.lag_threshold_critical,
        )),
    }
}

/// Missing values are the defaults. Both are the defaults if lag-monitor would refuse the pair.
fn valid_thresholds(warning: Option<i64>, critical: Option<i64>) -> Thresholds {
    let default = Thresholds::default();
    let warning = warning.unwrap_or(default.warning());
    Thresholds::new(warning, critical.unwrap_or(default.critical())).unwrap_or(default)
}

/// Only the shop's own topics get the stack's prefix.
fn prefixed_topic(topic: &str, prefix: &NamePrefix) -> String {
    let of_shop = Topic::ALL.into_iter().find(|one| one.name() == topic);
    of_shop.map_or_else(|| topic.to_owned(), |one| prefix.topic(one))
}

/// Fails if the group or the topic does not exist; the error lists those that exist.
fn require_known(snapshot: &Snapshot, group: Option<&str>, topic: Option<&str>) -> Result<()> {
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

fn show(
    args: &Lag,
    views: &[GroupLagView],
    sparklines: &Sparklines,
    taken_at: DateTime<Utc>,
) -> Result<()> {
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
        false => render(views, args.watch.then_some(sparklines)),
    };
    match args.watch {
        true => redraw(taken_at, &text),
        false => say(text),
    }
    Ok(())
}

/// On a terminal over the last output, otherwise below it.
fn redraw(at: DateTime<Utc>, text: &str) {
    let at = at.format("%H:%M:%S UTC");
    match stdout_is_terminal() {
        true => say(format_args!("\x1b[H\x1b[2J{at}\n\n{text}")),
        false => say(format_args!("{at}\n{text}\n")),
    }
}

fn show_failure(args: &Lag, error: &anyhow::Error) {
    match args.json {
        true => say(json!({"takenAt": Utc::now(), "error": format!("{error:#}")})),
        false => redraw(Utc::now(), &format!("read failed: {error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_or_invalid_thresholds_are_the_defaults() {
        let of = |warning, critical| {
            let thresholds = valid_thresholds(warning, critical);
            (thresholds.warning(), thresholds.critical())
        };
        assert_eq!(of(None, None), (100, 500));
        assert_eq!(of(Some(7), None), (7, 500));
        assert_eq!(of(None, Some(200)), (100, 200));
        assert_eq!(of(Some(600), None), (100, 500));
    }
}
