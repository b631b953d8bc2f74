//! `sandbox lag`: shows the lag, the rates and the health of each group.

mod monitor_answer;

use std::time::Duration;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use cluster_reader::group_health::{History, Thresholds};
use cluster_reader::{ClusterReader, Snapshot};
use serde_json::{Value, json};
use service_kit::settings::whole_number;
use shared_events::{NamePrefix, Topic};
use stack::host_or_container::HostOrContainer;
use stack::lag_view;
use stack::lag_view::lag_rows::{GroupLagView, group_lag_views};
use stack::lag_view::lag_table::{lag_values, render};
use stack::lag_view::open_transactions::OpenTransactions;
use stack::lag_view::sparkline::Sparklines;
use stack::layout::StackLayout;
use stack::saved_settings::SavedSettings;
use stack::shop_client::ShopClient;
use stack::terminal::{note, say, say_on_cleared_screen, stdout_is_terminal};
use stack::workload::Workload;
use tokio::time::{MissedTickBehavior, interval, sleep};

use monitor_answer::{MonitorAnswer, ask_monitor, monitor_line};

/// The time between two readings of `--watch`.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The time between two readings that show whether a transaction stays open.
const OPEN_INTERVAL: Duration = Duration::from_millis(200);

/// The groups, and how often.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox lag\n  ./sandbox lag --group inventory-service-group --watch\n  ./sandbox lag --json | jq '.groups[] | {group, totalLag, status}'\n\nLag is the number of records that a read_committed consumer would still get. In brackets: what Kafka's own tool counts as lag, too: transaction markers, aborted records, records of open transactions, lost records. A lag that is not counted completely has two bounds, as in ≥ 700, ≤ 1628. in/s is how many records are written, out/s how many the group reads and commits. Without --watch, rates and health are those that lag-monitor has found last."
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
    #[arg(long, env = "LAG_THRESHOLD_WARNING", hide = true, value_parser = whole_number::<i64>(1..=1_000_000_000_000_i64))]
    lag_threshold_warning: Option<i64>,

    /// The setting of lag-monitor
    #[arg(long, env = "LAG_THRESHOLD_CRITICAL", hide = true, value_parser = whole_number::<i64>(1..=1_000_000_000_000_i64))]
    lag_threshold_critical: Option<i64>,
}

/// The groups that are shown, by their names on the broker.
struct Selection {
    group: Option<String>,
    topic: Option<String>,
    thresholds: Thresholds,
}

/// Prints one reading, or with `--watch` one every second until Ctrl-C.
pub async fn run(args: Lag, layout: &StackLayout) -> Result<()> {
    let kafka = layout.kafka();
    let prefix = &kafka.name_prefix;
    let group = args.group.as_ref();
    let topic = args.topic.as_ref();
    let selection = Selection {
        group: group.map(|group| lag_view::prefixed_group(group, prefix)),
        topic: topic.map(|topic| prefixed_topic(topic, prefix)),
        thresholds: thresholds(&args, layout)?,
    };
    let mut reader = lag_view::reader(&kafka);
    if let Some(group) = &selection.group {
        reader.remember(group);
    }
    let shop = ShopClient::new(layout)?;
    match args.watch {
        true => watch(&args, &mut reader, &shop, &selection).await,
        false => {
            show_once(&args, &mut reader, &shop, &selection).await?;
            for name in layout.host_or_container().scaled_to_zero(layout)? {
                note(format_args!(
                    "{name} is scaled to 0, so its group has no member on purpose"
                ));
            }
            Ok(())
        }
    }
}

/// The numbers are those of a reading now, the rates and the health those of lag-monitor: one reading shows no rate, and knows
/// nothing of what the members say.
async fn show_once(
    args: &Lag,
    reader: &mut ClusterReader,
    shop: &ShopClient<'_>,
    selection: &Selection,
) -> Result<()> {
    let (group, topic) = (selection.group.as_deref(), selection.topic.as_deref());
    let snapshot = lag_view::read_counted(reader, group).await?;
    selection.require_known(&snapshot)?;
    let taken_at = snapshot.taken_at;
    let mut views = selection.views_of(snapshot);
    let open = open_transactions(reader, selection, taken_at, &views).await?;
    let monitor = ask_monitor(shop, topic, &mut views, true).await;
    if args.json {
        let object = json_object(&views, taken_at, &monitor);
        say(serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    say(text(&views, None, open));
    note(monitor_line(&monitor, false));
    Ok(())
}

/// What waits behind an open transaction. Reads again while only time can show whether a transaction stays open.
async fn open_transactions(
    reader: &mut ClusterReader,
    selection: &Selection,
    first: DateTime<Utc>,
    views: &[GroupLagView],
) -> Result<Option<String>> {
    let mut open = OpenTransactions::default();
    open.add(first, views);
    let mut now = first;
    while open.is_undecided(first, now) {
        sleep(OPEN_INTERVAL).await;
        let snapshot = lag_view::read(reader).await?;
        now = snapshot.taken_at;
        open.add(now, &selection.views_of(snapshot));
    }
    Ok(open.line(now))
}

/// Also waits for a broker that does not run yet. A reading that fails is reported instead of old values.
async fn watch(
    args: &Lag,
    reader: &mut ClusterReader,
    shop: &ShopClient<'_>,
    selection: &Selection,
) -> Result<()> {
    let topic = selection.topic.as_deref();
    let mut history = History::default();
    let mut sparklines = Sparklines::default();
    let mut open = OpenTransactions::default();
    let mut turns = interval(POLL_INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let snapshot = match lag_view::read(reader).await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                show_failure(args, &error);
                continue;
            }
        };
        if history.latest().is_none() {
            selection.require_known(&snapshot)?;
        }
        let taken_at = snapshot.taken_at;
        history.add(snapshot);
        let mut views = selection.views(&history);
        sparklines.add(lag_values(&views));
        open.add(taken_at, &views);
        let monitor = ask_monitor(shop, topic, &mut views, false).await;
        match args.json {
            true => say(json_object(&views, taken_at, &monitor)),
            false => {
                let text = text(&views, Some(&sparklines), open.line(taken_at));
                let monitor = monitor_line(&monitor, true);
                redraw(taken_at, &format!("{text}\n\n{monitor}"));
            }
        }
    }
}

fn json_object(views: &[GroupLagView], taken_at: DateTime<Utc>, monitor: &MonitorAnswer) -> Value {
    json!({
        "takenAt": taken_at,
        "groups": views,
        "monitorTakenAt": monitor.as_ref().ok().map(|state| state.taken_at),
        "monitorError": monitor.as_ref().err(),
    })
}

fn text(
    views: &[GroupLagView],
    sparklines: Option<&Sparklines>,
    open_transactions: Option<String>,
) -> String {
    let mut text = match views.is_empty() {
        true => "no group reads anything".to_owned(),
        false => render(views, sparklines),
    };
    if let Some(line) = open_transactions {
        text = format!("{text}\n\n{line}");
    }
    text
}

impl Selection {
    fn views(&self, history: &History) -> Vec<GroupLagView> {
        let (group, topic) = (self.group.as_deref(), self.topic.as_deref());
        group_lag_views(history, group, topic, self.thresholds)
    }

    /// The views of one reading.
    fn views_of(&self, snapshot: Snapshot) -> Vec<GroupLagView> {
        let mut history = History::default();
        history.add(snapshot);
        self.views(&history)
    }

    /// Fails if the group or the topic does not exist; the error lists those that exist.
    fn require_known(&self, snapshot: &Snapshot) -> Result<()> {
        if let Some(group) = &self.group
            && !snapshot.groups.contains_key(group)
        {
            return Err(lag_view::unknown_group(group, snapshot));
        }
        match &self.topic {
            Some(topic) if !snapshot.topics.contains_key(topic) => {
                let known: Vec<&str> = snapshot.topics.keys().map(String::as_str).collect();
                bail!("no topic {topic}: there are {}", known.join(", "))
            }
            _ => Ok(()),
        }
    }
}

/// The thresholds of this stack's lag-monitor, so that both report the same health.
fn thresholds(args: &Lag, layout: &StackLayout) -> Result<Thresholds> {
    match layout.host_or_container() {
        HostOrContainer::Host => {
            let changed = SavedSettings::load(layout.home()).settings(Workload::LagMonitor);
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

/// On a terminal over the last output, otherwise below it.
fn redraw(at: DateTime<Utc>, text: &str) {
    let at = at.format("%H:%M:%S UTC");
    match stdout_is_terminal() {
        true => say_on_cleared_screen(format_args!("{at}\n\n{text}")),
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
