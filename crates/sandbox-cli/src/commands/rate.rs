//! `sandbox rate`: measures how fast a group reads, by its committed offsets.

use std::time::Duration;

use anyhow::{Result, bail};
use cluster_reader::{ClusterReader, Group};
use kafka_admin::Cluster;
use service_kit::settings::duration_between;
use shared_events::GroupControls;
use stack::lag_view;
use stack::layout::StackLayout;
use stack::terminal::{Usage, note, say};
use tokio::time::{Instant, sleep, sleep_until};

/// The pause between two reads of the lag.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The group and the time span.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox rate inventory-service-group --over 10s\n  ./sandbox rate inventory-service-group --drain        until the lag is 0\n  ./sandbox rate inventory-service-group --drain --resume      the same of a paused group\n\nPrints records per second as one number, so that ./sandbox expect ratio can compare two of them: ONE=$(./sandbox rate …)"
)]
#[command(group(clap::ArgGroup::new("span").required(true).args(["over", "drain"])))]
pub struct Rate {
    /// The group
    pub group: String,

    /// Measure for this time
    #[arg(long, value_name = "TIME", value_parser = duration_between(1, 600))]
    pub over: Option<Duration>,

    /// Measure until the group's lag is 0
    #[arg(long)]
    pub drain: bool,

    /// Resume the paused group after the first read: a fast group would otherwise be done before the measurement begins
    #[arg(long, requires = "drain")]
    pub resume: bool,

    /// The time limit of --drain
    #[arg(long, value_name = "TIME", default_value = "100s", value_parser = duration_between(1, 600))]
    pub within: Duration,
}

/// The state of a group at one moment.
struct GroupSample {
    at: Instant,
    group: Group,
}

/// Measures and prints the rate.
pub async fn run(args: Rate, layout: &StackLayout) -> Result<()> {
    let name = lag_view::prefixed_group(&args.group, &layout.settings().name_prefix);
    let mut reader = lag_view::reader(&layout.kafka());
    reader.remember(&name);
    let first = read(&mut reader, &name).await?;
    let last = match args.over {
        Some(over) => {
            sleep_until(first.at + over).await;
            read(&mut reader, &name).await?
        }
        None => {
            if args.resume {
                resume(&args.group, layout).await?;
            }
            wait_until_drained(&mut reader, &name, &first, args.within).await?
        }
    };
    let seconds = (last.at - first.at).as_secs_f64();
    let records = committed_between(&first.group, &last.group);
    note(format_args!(
        "{name}: {records} records in {seconds:.1} s, {} members",
        last.group.members.len()
    ));
    say(format_args!("{:.2}", records as f64 / seconds));
    Ok(())
}

async fn read(reader: &mut ClusterReader, name: &str) -> Result<GroupSample> {
    let mut snapshot = lag_view::read(reader).await?;
    let at = Instant::now();
    match snapshot.groups.remove(name) {
        Some(group) => Ok(GroupSample { at, group }),
        None => Err(lag_view::unknown_group(name, &snapshot)),
    }
}

/// Sets `paused` to false for all members of the shop's group.
async fn resume(group: &str, layout: &StackLayout) -> Result<()> {
    let prefix = &layout.settings().name_prefix;
    let Some(service) = lag_view::service_of_group(group, prefix) else {
        return Err(Usage::error(format_args!(
            "--resume: {group} is not a group of the shop"
        )));
    };
    let cluster = Cluster::new(&layout.kafka())?;
    let controls = cluster.controls(service).await?.unwrap_or_default();
    let resumed = controls.merged(GroupControls {
        paused: Some(false),
        ..GroupControls::default()
    });
    Ok(cluster.set_controls(service, &resumed).await?)
}

async fn wait_until_drained(
    reader: &mut ClusterReader,
    name: &str,
    first: &GroupSample,
    within: Duration,
) -> Result<GroupSample> {
    if first.group.is_caught_up() {
        bail!("{name} has lag 0: there is no backlog to drain");
    }
    loop {
        let sample = read(reader, name).await?;
        if sample.group.is_caught_up() {
            return Ok(sample);
        }
        if sample.at > first.at + within {
            let within = humantime::format_duration(within);
            bail!("not drained within {within}; last state: {}", sample.group);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// How far the committed offsets advanced: records that were read, and transaction markers between them.
fn committed_between(first: &Group, last: &Group) -> i64 {
    let moved = last.partitions.iter().filter_map(|(partition, now)| {
        let before = first
            .partitions
            .get(partition)
            .and_then(|one| one.committed);
        // Without a committed offset the group began at the start of the log.
        let before = before.or_else(|| now.log_offsets.map(|log| log.log_start))?;
        Some(now.committed? - before)
    });
    moved.sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cluster_reader::{LagUndefined, LogOffsets, PartitionLag, Protocol, TopicPartition};

    use super::*;

    fn group(committed: &[Option<i64>]) -> Group {
        let partitions = (0..).zip(committed).map(|(partition, committed)| {
            let place = TopicPartition {
                topic: "payments".to_owned(),
                partition,
            };
            let lag = PartitionLag {
                committed: *committed,
                log_offsets: Some(LogOffsets {
                    log_start: 5,
                    last_stable: 100,
                    high_watermark: 100,
                }),
                owner: None,
                lag: Err(LagUndefined::NothingCommitted),
            };
            (place, lag)
        });
        Group {
            state: "Stable".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: partitions.collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn the_records_read_are_how_far_each_partition_advanced() {
        let first = group(&[Some(10), None, None]);
        let last = group(&[Some(30), Some(9), None]);
        assert_eq!(committed_between(&first, &last), 20 + 4);
    }

    #[test]
    fn a_time_span_is_one_second_to_ten_minutes() {
        let span = duration_between(1, 600);
        assert_eq!(span("8s"), Ok(Duration::from_secs(8)));
        for bad in ["", "0s", "999ms", "601s", "fast"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
