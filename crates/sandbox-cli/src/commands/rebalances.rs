//! `sandbox rebalances`: measures from outside what the rebalances of a group cost.
//!
//! The offsets and the members come from the cluster, and the received records from the members' metrics. librdkafka updates
//! those every 5 s. So up to 5 s of a member that stops are missing, and the records read twice are a lower bound.

mod group_watch;
mod received_records;

use std::time::Duration;

use anyhow::{Result, bail};
use cluster_reader::{ClusterReader, Group, Snapshot};
use serde_json::json;
use service_kit::settings::duration_between;
use stack::lag_view;
use stack::layout::StackLayout;
use stack::shop_client::ShopClient;
use stack::terminal::{Usage, counted, note, say};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::rate::records_between;
use group_watch::GroupWatch;
use received_records::ReceivedRecords;

/// The time between two readings of the group.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Readings from one look at the members' metrics to the next: one second.
const READINGS_PER_LOOK: u32 = 5;

/// After this time the metrics hold everything that was received: the interval of librdkafka's statistics, and a look at them.
const METRICS_DELAY: Duration = Duration::from_secs(7);

/// The group.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox rebalances inventory-service-group &     watches from now on\n  ./sandbox load burst --count 1000\n  ./sandbox scale inventory-service=3\n  wait\n\nBegins with a group that has lag 0 and has received nothing for 5 s, and ends when the lag is 0 again after load. Prints the seconds in which the group committed nothing although records waited (pauses from 1 s on), the partitions that another instance has got, and the records that the members received more than once (at least: what a member received in its last 5 s may be missing)."
)]
pub struct Rebalances {
    /// A group of the shop
    group: String,

    /// The time limit
    #[arg(long, value_name = "TIME", default_value = "100s", value_parser = duration_between(1, 600))]
    within: Duration,

    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// Watches the group, and prints the three figures.
pub async fn run(args: Rebalances, layout: &StackLayout) -> Result<()> {
    let prefix = &layout.settings().name_prefix;
    let Some(service) = lag_view::service_of_group(&args.group, prefix) else {
        let group = &args.group;
        return Err(Usage::error(format_args!(
            "{group} is not a group of the shop"
        )));
    };
    let name = prefix.group(service);
    let mut reader = lag_view::reader(&layout.kafka());
    // With a row for each partition: one without a commit and without an owner has none otherwise.
    let group_of = |snapshot: &Snapshot| lag_view::service_group(snapshot, prefix, service);
    let first = group_of(&lag_view::read_counted(&mut reader, Some(&name)).await?);
    if !first.is_caught_up() {
        let lag = first.known_lag();
        bail!("{name} has lag {lag}: the measurement begins when it is 0");
    }
    let shop = ShopClient::new(layout)?;
    let mut received = ReceivedRecords::begin(&shop, layout, service).await?;
    let mut watch = GroupWatch::new(&first);
    note(format_args!("watching {name}"));
    watch_until_drained(&args, &mut reader, &group_of, &mut watch, &mut received).await?;
    let last = group_of(&lag_view::read_counted(&mut reader, Some(&name)).await?);
    let consumed = records_between(&first, &last)?;
    print(&args, &name, &watch, consumed, received.total() - consumed)
}

/// Ends when the records that came after the beginning are consumed, and the metrics hold them.
async fn watch_until_drained(
    args: &Rebalances,
    reader: &mut ClusterReader,
    group_of: &impl Fn(&Snapshot) -> Group,
    watch: &mut GroupWatch,
    received: &mut ReceivedRecords<'_>,
) -> Result<()> {
    let started = Instant::now();
    let mut drained = None;
    let mut readings = interval(POLL_INTERVAL);
    readings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for reading in 1_u32.. {
        readings.tick().await;
        let group = group_of(&lag_view::read(reader).await?);
        watch.add(started.elapsed(), &group);
        if reading % READINGS_PER_LOOK == 0 {
            received.look().await?;
        }
        match watch.has_drained() {
            true if drained.get_or_insert_with(Instant::now).elapsed() >= METRICS_DELAY => break,
            true => {}
            false if started.elapsed() >= args.within => {
                let within = humantime::format_duration(args.within);
                bail!("no load that was consumed within {within}; last state: {group}");
            }
            false => drained = None,
        }
    }
    received.look().await
}

fn print(
    args: &Rebalances,
    name: &str,
    watch: &GroupWatch,
    consumed: i64,
    read_twice: i64,
) -> Result<()> {
    let (pauses, moved) = (watch.without_commit().as_secs_f64(), watch.moved());
    let read_twice = read_twice.max(0);
    match args.json {
        true => say(serde_json::to_string_pretty(&json!({
            "group": name,
            "secondsWithoutCommit": (pauses * 10.0).round() / 10.0,
            "partitionsMoved": moved,
            "recordsConsumed": consumed,
            "recordsReadTwice": read_twice,
        }))?),
        false => say(format_args!(
            "{name}: {pauses:.1} s without a commit, {} moved, {consumed} records consumed, {read_twice} of them read twice",
            counted(moved, "partition")
        )),
    }
    Ok(())
}
