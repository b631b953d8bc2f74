//! `sandbox rate`: how fast a group is, by what it commits.

use std::time::Duration;

use anyhow::{Result, bail};
use cluster_reader::{ClusterReader, Group};
use kafka_admin::Cluster;
use service_kit::settings::duration_between;
use shared_events::GroupControls;
use tokio::time::{Instant, sleep, sleep_until};

use stack::lag_view;
use stack::sandbox::Sandbox;
use stack::terminal::{Usage, note, say};

/// Between two readings while a backlog is drained.
const TURN: Duration = Duration::from_millis(100);

/// Of which group, and for how long.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox rate inventory-service-group --over 10s\n  ./sandbox rate inventory-service-group --drain        from now until nothing is left to read\n  ./sandbox rate inventory-service-group --drain --resume      the same of a group that was paused\n\nPrints a number, records a second, so that ONE=$(./sandbox rate …) can be compared: ./sandbox expect ratio."
)]
#[command(group(clap::ArgGroup::new("span").required(true).args(["over", "drain"])))]
pub struct Rate {
    /// The group
    pub group: String,

    /// For this long
    #[arg(long, value_name = "TIME", value_parser = duration_between(1, 600))]
    pub over: Option<Duration>,

    /// Until the group has nothing left to read
    #[arg(long)]
    pub drain: bool,

    /// Resume the group when the clock runs: a fast one would be done before anybody looks
    #[arg(long, requires = "drain")]
    pub resume: bool,

    /// How long that may take
    #[arg(long, value_name = "TIME", default_value = "100s", value_parser = duration_between(1, 600))]
    pub within: Duration,
}

/// What a group had committed at a moment.
struct Reading {
    at: Instant,
    group: Group,
}

/// Measures.
pub async fn run(args: Rate, sandbox: &Sandbox) -> Result<()> {
    let name = lag_view::on_broker(&args.group, &sandbox.settings().name_prefix);
    let mut reader = lag_view::reader(&sandbox.kafka());
    reader.remember(&name);
    let first = read(&mut reader, &name).await?;
    let last = match args.over {
        Some(over) => {
            sleep_until(first.at + over).await;
            read(&mut reader, &name).await?
        }
        None => {
            if args.resume {
                resume(&args.group, sandbox).await?;
            }
            drained(&mut reader, &name, &first, args.within).await?
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

async fn read(reader: &mut ClusterReader, name: &str) -> Result<Reading> {
    let mut snapshot = lag_view::read(reader).await?;
    let at = Instant::now();
    match snapshot.groups.remove(name) {
        Some(group) => Ok(Reading { at, group }),
        None => Err(lag_view::unknown_group(name, &snapshot)),
    }
}

/// Takes back what keeps the members of the shop's group from reading.
async fn resume(group: &str, sandbox: &Sandbox) -> Result<()> {
    let prefix = &sandbox.settings().name_prefix;
    let Some(service) = lag_view::service_of(group, prefix) else {
        return Err(Usage::error(format_args!(
            "--resume: {group} is none of the shop's groups"
        )));
    };
    let cluster = Cluster::new(&sandbox.kafka())?;
    let told = cluster.controls(service).await?.unwrap_or_default();
    let resumed = told.merged(GroupControls {
        paused: Some(false),
        ..GroupControls::default()
    });
    Ok(cluster.set_controls(service, &resumed).await?)
}

async fn drained(
    reader: &mut ClusterReader,
    name: &str,
    first: &Reading,
    within: Duration,
) -> Result<Reading> {
    if first.group.is_caught_up() {
        bail!("{name} has nothing to read: there is no backlog to drain");
    }
    loop {
        let reading = read(reader, name).await?;
        if reading.group.is_caught_up() {
            return Ok(reading);
        }
        if reading.at > first.at + within {
            let within = humantime::format_duration(within);
            bail!("not drained within {within}; last seen: {}", reading.group);
        }
        sleep(TURN).await;
    }
}

/// How far the committed offsets moved: the records that were read, and the markers between them.
fn committed_between(first: &Group, last: &Group) -> i64 {
    let moved = last.partitions.iter().filter_map(|(partition, now)| {
        let before = first
            .partitions
            .get(partition)
            .and_then(|one| one.committed);
        // A partition for which nothing was committed yet begins where it begins.
        let before = before.or_else(|| now.log_offsets.map(|log| log.log_start))?;
        Some(now.committed? - before)
    });
    moved.sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cluster_reader::{LogOffsets, LagUndefined, PartitionLag, Protocol, TopicPartition};

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
    fn what_was_read_is_how_far_each_partition_moved() {
        let first = group(&[Some(10), None, None]);
        let last = group(&[Some(30), Some(9), None]);
        assert_eq!(committed_between(&first, &last), 20 + 4);
    }

    #[test]
    fn a_span_is_a_second_at_least_and_ten_minutes_at_most() {
        let span = duration_between(1, 600);
        assert_eq!(span("8s"), Ok(Duration::from_secs(8)));
        for bad in ["", "0s", "999ms", "601s", "fast"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
