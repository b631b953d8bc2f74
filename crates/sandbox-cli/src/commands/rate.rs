//! `sandbox rate`: measures how many records a group reads and commits.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use cluster_reader::{ClusterReader, Group, LagCount, LagUndefined, PartitionLag};
use kafka_admin::Cluster;
use service_kit::settings::duration_between;
use shared_events::GroupControls;
use stack::lag_view;
use stack::layout::StackLayout;
use stack::terminal::{Usage, counted, note, say};
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
    /// When the reading was complete.
    at: Instant,
    /// When the offsets were read.
    taken_at: DateTime<Utc>,
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
    let seconds = (last.taken_at - first.taken_at).as_seconds_f64();
    let records = records_between(&first.group, &last.group)?;
    note(format_args!(
        "{name}: {} in {seconds:.1} s, {}",
        LagCount::of(records).records(),
        counted(last.group.members.len(), "member")
    ));
    say(format_args!("{:.2}", records as f64 / seconds));
    Ok(())
}

async fn read(reader: &mut ClusterReader, name: &str) -> Result<GroupSample> {
    let mut snapshot = lag_view::read_counted(reader, Some(name)).await?;
    let at = Instant::now();
    match snapshot.groups.remove(name) {
        Some(group) => Ok(GroupSample {
            at,
            taken_at: snapshot.taken_at,
            group,
        }),
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

/// The records that the group has read and committed between two readings, without the markers of transactions.
pub(super) fn records_between(first: &Group, last: &Group) -> Result<i64> {
    let rows = last
        .partitions
        .iter()
        .filter(|(_, row)| row.committed.is_some());
    let counts = rows.map(|(at, now)| {
        let records = first.partitions.get(at).and_then(|before| records_read(before, now));
        records.with_context(|| {
            format!("the records that were read of {at} cannot be counted: at the first reading nothing was committed, the backlog was too long to count, or records were deleted meanwhile")
        })
    });
    counts.sum()
}

/// `None` unless both readings have counted everything.
fn records_read(before: &PartitionLag, now: &PartitionLag) -> Option<i64> {
    let lag = now.lag.ok()?;
    let (written, unread) = (lag.written?, lag.readable.exact()?);
    let before = match (before.lag, before.committed) {
        (Ok(lag), Some(committed)) if committed >= now.log_offsets?.log_start => {
            let written_before = lag
                .written
                .filter(|before| before.origin == written.origin)?;
            written_before.records - lag.readable.exact()?
        }
        // The reader counts from the first reading on.
        (Err(LagUndefined::NoRecordYet), _) => 0,
        _ => return None,
    };
    Some(written.records - unread - before)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cluster_reader::{Lag, LogOffsets, Protocol, RecordsWritten, TopicPartition};

    use super::*;

    /// One partition: written records, unread records, committed offset, log start.
    fn group(
        origin: u64,
        written: i64,
        readable: LagCount,
        committed: i64,
        log_start: i64,
    ) -> Group {
        let at = TopicPartition {
            topic: "payments".to_owned(),
            partition: 0,
        };
        let row = PartitionLag {
            committed: Some(committed),
            log_offsets: Some(LogOffsets {
                log_start,
                last_stable: 100,
                high_watermark: 100,
            }),
            owner: None,
            lag: Ok(Lag {
                readable,
                written: Some(RecordsWritten {
                    origin,
                    records: written,
                }),
                ..Lag::default()
            }),
        };
        Group {
            state: "Stable".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: BTreeMap::from([(at, row)]),
        }
    }

    #[test]
    fn the_rate_counts_records_and_no_markers() {
        let first = group(1, 3, LagCount::of(20), 10, 0);
        // 40 offsets were committed, every second one a marker; 12 records were written.
        let last = group(1, 15, LagCount::of(12), 50, 0);
        assert_eq!(records_between(&first, &last).unwrap(), 20);
    }

    #[test]
    fn a_bound_or_a_deletion_makes_no_rate() {
        let first = group(1, 3, LagCount::of(20), 10, 0);
        let bounds = LagCount::between(3, 9);
        for last in [
            group(1, 15, bounds, 50, 0),
            group(2, 15, LagCount::of(12), 50, 0),
            group(1, 15, LagCount::of(12), 50, 11),
        ] {
            let error = records_between(&first, &last).unwrap_err().to_string();
            assert!(error.contains("payments[0]"), "{error}");
        }
        let mut unknown = group(1, 0, LagCount::ZERO, 0, 0);
        for (reason, counted) in [
            (LagUndefined::NoRecordYet, Some(3)),
            (LagUndefined::NothingCommitted, None),
        ] {
            for row in unknown.partitions.values_mut() {
                (row.lag, row.committed) = (Err(reason), None);
            }
            let last = group(1, 15, LagCount::of(12), 50, 0);
            assert_eq!(records_between(&unknown, &last).ok(), counted);
        }
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
