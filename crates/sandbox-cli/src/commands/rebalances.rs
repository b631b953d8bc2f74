//! `sandbox rebalances`: measures from outside what the rebalances of a group cost.
//!
//! The offsets and the members come from the cluster, and the received records from the members' metrics. librdkafka updates
//! those every 5 s. So up to 5 s of a member that stops are missing, and the records read twice are a lower bound.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use cluster_reader::{ClusterReader, Group, Owner, TopicPartition};
use serde_json::json;
use service_kit::settings::duration_between;
use shared_events::Service;
use stack::lag_view;
use stack::layout::StackLayout;
use stack::shop_client::ShopClient;
use stack::terminal::{Usage, counted, note, say};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::rate::records_between;

/// The time between two readings of the group.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Readings from one look at the members' metrics to the next: one second.
const READINGS_PER_LOOK: u32 = 5;

/// How long a member may take to answer. A frozen one does not answer at all.
const MEMBER_TIMEOUT: Duration = Duration::from_millis(500);

/// The shortest pause that counts. A member that works on one record for less than that commits in between.
const PAUSE: Duration = Duration::from_secs(1);

/// After this time the metrics hold everything that was received: the interval of librdkafka's statistics, and a look at them.
const METRICS_DELAY: Duration = Duration::from_secs(7);

/// The metric of a member: records that it has received, committed or not.
const RECEIVED: &str = r#"kafka_client_received_records_total{client="consumer"} "#;

/// The group.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox rebalances inventory-service-group &     watches from now on\n  ./sandbox load burst --count 1000\n  ./sandbox scale inventory-service=3\n  wait\n\nBegins with a group that has lag 0, and ends when the lag is 0 again after load. Prints the seconds in which the group committed nothing although records waited (pauses from 1 s on), the partitions that another instance has got, and the records that the members received more than once (at least: what a member received in its last 5 s may be missing)."
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
        return Err(Usage::error(format_args!(
            "{} is not a group of the shop",
            args.group
        )));
    };
    let name = prefix.group(service);
    let mut reader = lag_view::reader(&layout.kafka());
    let first = read_counted(&mut reader, &name).await?;
    if !first.is_caught_up() {
        bail!(
            "{name} has lag {}: the measurement begins when it is 0",
            first.known_lag()
        );
    }
    let shop = ShopClient::new(layout)?;
    let mut received = ReceivedRecords::default();
    received.look(&shop, layout, service).await?;
    received.total = 0;
    let started = Instant::now();
    let mut watch = GroupWatch::new(&first);
    note(format_args!("watching {name}"));

    let limit = started + args.within;
    let mut drained = None;
    let mut readings = interval(POLL_INTERVAL);
    readings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for reading in 1_u32.. {
        readings.tick().await;
        let group = read(&mut reader, &name).await?;
        watch.add(started.elapsed(), &group);
        if reading % READINGS_PER_LOOK == 0 {
            received.look(&shop, layout, service).await?;
        }
        match watch.has_drained {
            true => _ = drained.get_or_insert_with(Instant::now),
            false => drained = None,
        }
        if drained.is_some_and(|drained| drained.elapsed() >= METRICS_DELAY) {
            break;
        }
        if Instant::now() >= limit && drained.is_none() {
            let within = humantime::format_duration(args.within);
            bail!("no load that was consumed within {within}; last state: {group}");
        }
    }
    received.look(&shop, layout, service).await?;
    let last = read_counted(&mut reader, &name).await?;
    let consumed = records_between(&first, &last)?;
    let twice = received.total - consumed;
    let pauses = watch.without_commit.as_secs_f64();
    match args.json {
        true => say(serde_json::to_string_pretty(&json!({
            "group": name,
            "secondsWithoutCommit": (pauses * 10.0).round() / 10.0,
            "partitionsMoved": watch.moved,
            "recordsConsumed": consumed,
            "recordsReadTwice": twice.max(0),
        }))?),
        false => say(format_args!(
            "{name}: {pauses:.1} s without a commit, {} moved, {} records consumed, {} of them read twice",
            counted(watch.moved, "partition"),
            consumed,
            twice.max(0)
        )),
    }
    Ok(())
}

async fn read(reader: &mut ClusterReader, name: &str) -> Result<Group> {
    Ok(lag_view::read(reader).await?.group_on_topics(name, &[]))
}

async fn read_counted(reader: &mut ClusterReader, name: &str) -> Result<Group> {
    let snapshot = lag_view::read_counted(reader, Some(name)).await?;
    Ok(snapshot.group_on_topics(name, &[]))
}

/// What the readings of a group have shown since the first.
struct GroupWatch {
    /// The instance that owned each partition last.
    owners: BTreeMap<TopicPartition, String>,
    committed: BTreeMap<TopicPartition, i64>,
    /// Since when nothing was committed.
    quiet_since: Duration,
    without_commit: Duration,
    /// Partitions that got another owner, each time.
    moved: usize,
    was_behind: bool,
    /// Records have waited, and none does now.
    has_drained: bool,
}

impl GroupWatch {
    fn new(group: &Group) -> Self {
        Self {
            owners: owners(group).collect(),
            committed: committed(group),
            quiet_since: Duration::ZERO,
            without_commit: Duration::ZERO,
            moved: 0,
            was_behind: false,
            has_drained: false,
        }
    }

    /// Takes a reading, this long after the first one.
    fn add(&mut self, at: Duration, group: &Group) {
        for (partition, owner) in owners(group) {
            let before = self.owners.insert(partition, owner.clone());
            self.moved += usize::from(before.is_some_and(|before| before != owner));
        }
        let (is_behind, committed) = (!group.is_caught_up(), committed(group));
        // A pause begins when records wait, and ends with a commit.
        if committed != self.committed || !self.was_behind {
            let pause = at.saturating_sub(self.quiet_since);
            if self.was_behind && pause >= PAUSE {
                self.without_commit += pause;
            }
            self.quiet_since = at;
        }
        self.committed = committed;
        self.has_drained = !is_behind && (self.was_behind || self.has_drained);
        self.was_behind = is_behind;
    }
}

/// The instance that owns each partition. While the group rebalances some have no owner.
fn owners(group: &Group) -> impl Iterator<Item = (TopicPartition, String)> {
    let rows = group.partitions.iter();
    rows.filter_map(|(partition, row)| Some((partition.clone(), instance(row.owner.as_ref()?))))
}

/// The id of a member changes when its process starts again, but this does not.
fn instance(owner: &Owner) -> String {
    format!("{}@{}", owner.client_id, owner.host)
}

fn committed(group: &Group) -> BTreeMap<TopicPartition, i64> {
    let rows = group.partitions.iter();
    rows.filter_map(|(partition, row)| Some((partition.clone(), row.committed?)))
        .collect()
}

/// The records that the members have received.
#[derive(Debug, Default)]
struct ReceivedRecords {
    /// The counter of each instance when it was read last, by its address.
    counters: BTreeMap<String, i64>,
    total: i64,
}

impl ReceivedRecords {
    /// Reads the counter of each instance. One that does not answer may be starting or stopping.
    async fn look(
        &mut self,
        shop: &ShopClient<'_>,
        layout: &StackLayout,
        service: Service,
    ) -> Result<()> {
        for instance in layout.instances(service).await? {
            let metrics = timeout(MEMBER_TIMEOUT, shop.instance_metrics(&instance)).await;
            if let Some(counter) = metrics
                .ok()
                .and_then(Result::ok)
                .as_deref()
                .and_then(counter)
            {
                self.add(instance.url, counter);
            }
        }
        Ok(())
    }

    /// A counter that is smaller than before is that of another process, which began at 0.
    fn add(&mut self, instance: String, counter: i64) {
        let before = self.counters.insert(instance, counter).unwrap_or(0);
        self.total += match counter >= before {
            true => counter - before,
            false => counter,
        };
    }
}

fn counter(metrics: &str) -> Option<i64> {
    let mut lines = metrics.lines();
    lines
        .find_map(|line| line.strip_prefix(RECEIVED))
        .and_then(|value| value.parse().ok())
}

#[cfg(test)]
mod tests {
    use cluster_reader::{Lag, LagCount, PartitionLag, Protocol};

    use super::*;

    /// Each partition: its owner, its committed offset, its lag.
    fn group(rows: &[(Option<&str>, i64, i64)]) -> Group {
        let row = |(number, (owner, committed, lag)): (i32, &(Option<&str>, i64, i64))| {
            let at = TopicPartition {
                topic: "payments".to_owned(),
                partition: number,
            };
            let row = PartitionLag {
                committed: Some(*committed),
                log_offsets: None,
                owner: owner.map(|owner| Owner {
                    member_id: format!("{owner}-{committed}"),
                    client_id: owner.to_owned(),
                    host: "/127.0.0.1".to_owned(),
                }),
                lag: Ok(Lag {
                    readable: LagCount::of(*lag),
                    ..Lag::default()
                }),
            };
            (at, row)
        };
        Group {
            state: "Stable".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: (0..).zip(rows).map(row).collect(),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_partition_moves_when_another_instance_owns_it() {
        let mut watch = GroupWatch::new(&group(&[(Some("a"), 0, 0), (Some("b"), 0, 0)]));
        // A rebalance, after which each has what it had. The id of b's member is a new one.
        watch.add(seconds(1), &group(&[(None, 0, 0), (None, 0, 0)]));
        watch.add(seconds(2), &group(&[(Some("a"), 0, 0), (Some("b"), 7, 0)]));
        assert_eq!(watch.moved, 0);
        watch.add(seconds(3), &group(&[(Some("a"), 0, 0), (None, 7, 0)]));
        watch.add(seconds(4), &group(&[(Some("a"), 0, 0), (Some("a"), 7, 0)]));
        assert_eq!(watch.moved, 1);
    }

    #[test]
    fn a_pause_is_time_in_which_records_wait_and_no_commit_is_seen() {
        let mut watch = GroupWatch::new(&group(&[(None, 0, 0)]));
        // Nothing waits for 5 s, then a record waits for 3 s.
        watch.add(seconds(5), &group(&[(None, 0, 9)]));
        watch.add(seconds(6), &group(&[(None, 0, 9)]));
        watch.add(seconds(8), &group(&[(None, 1, 8)]));
        assert_eq!(watch.without_commit, seconds(3));
        // Commits half a second apart are no pauses, and neither is a group that has caught up.
        watch.add(Duration::from_millis(8_500), &group(&[(None, 2, 7)]));
        assert!(!watch.has_drained);
        watch.add(seconds(9), &group(&[(None, 9, 0)]));
        assert!(watch.has_drained);
        watch.add(seconds(20), &group(&[(None, 9, 0)]));
        watch.add(seconds(21), &group(&[(None, 9, 1)]));
        assert!(!watch.has_drained);
        watch.add(Duration::from_millis(21_200), &group(&[(None, 10, 0)]));
        assert_eq!(watch.without_commit, seconds(3));
    }

    #[test]
    fn a_restarted_process_counts_from_zero() {
        let mut received = ReceivedRecords::default();
        for (instance, value) in [("a", 100), ("b", 50), ("a", 120), ("a", 30), ("b", 50)] {
            let line = format!("x 1\n{RECEIVED}{value}\n");
            received.add(instance.to_owned(), counter(&line).unwrap());
        }
        assert_eq!(received.total, 100 + 50 + 20 + 30);
        assert_eq!(counter("kafka_client_received_records_total 3"), None);
    }
}
