//! The values that `lag` prints for each group, computed from a history of snapshots.

use chrono::{DateTime, Utc};
use cluster_reader::group_health::{GroupHealth, History, Rates, Thresholds, assess};
use cluster_reader::{Group, PartitionLag, TopicPartition};
use serde::Serialize;

/// A group, or the part of it on one topic.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupLagView {
    /// The name on the broker.
    pub group: String,
    /// Kafka's name of the group's state.
    pub state: String,
    /// The number of members.
    pub members: usize,
    /// `ok`, `unknown`, `warning` or `critical`.
    pub status: &'static str,
    /// The rule that decided the status.
    pub rule: &'static str,
    /// The values that the rule decided by, in a sentence.
    pub evidence: String,
    /// Readable records, over the partitions where the lag is known; `None` if it is known of no partition.
    pub total_lag: Option<i64>,
    /// The sum is an upper bound: it counts markers and aborted records that were not read.
    pub at_least: bool,
    /// The number of partitions without a known lag.
    pub not_known: usize,
    /// The age of the oldest unread record.
    pub oldest_unread_seconds: Option<f64>,
    /// Rates between two snapshots; `None` after the first.
    pub rates: Option<RatesView>,
    /// The time until the lag is 0 at the present rate; `None` if the lag does not shrink.
    pub time_to_drain_seconds: Option<f64>,
    /// The partitions, by topic and number.
    pub partitions: Vec<PartitionLagView>,
}

/// A group on one partition. The names are those of lag-monitor's `/lag`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionLagView {
    /// The topic's name on the broker.
    pub topic: String,
    /// The number of the partition.
    pub partition: i32,
    /// Readable records: the lag.
    pub lag: Option<i64>,
    /// The lag is an upper bound: some of it may be markers or aborted records that were not read.
    pub at_least: bool,
    /// Why the lag is not known.
    pub reason: Option<String>,
    /// The committed offset: the offset of the next record to read.
    pub committed_offset: Option<i64>,
    /// The last stable offset, where a `read_committed` consumer must stop.
    pub stable_offset: Option<i64>,
    /// The high watermark: the offset of the next record to be written.
    pub end_offset: Option<i64>,
    /// Transaction markers among the unread records.
    pub control_records: Option<i64>,
    /// Records of aborted transactions among the unread records.
    pub aborted_records: Option<i64>,
    /// Offsets past the last stable offset.
    pub beyond_stable: Option<i64>,
    /// Records that were deleted before the group read them.
    pub lost: Option<i64>,
    /// The age of the oldest unread record.
    pub oldest_unread_seconds: Option<f64>,
    /// `client.id@host` of the member that owns the partition.
    pub owner: Option<String>,
    /// Rates between two snapshots; `None` after the first.
    pub rates: Option<RatesView>,
    /// The time until the lag is 0 at the present rate; `None` if the lag does not shrink.
    pub time_to_drain_seconds: Option<f64>,
}

/// Records a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatesView {
    /// The change of the lag.
    pub lag: f64,
    /// How fast the group commits.
    pub consumed: f64,
    /// How fast the partition grows.
    pub produced: f64,
}

impl From<Rates> for RatesView {
    fn from(rates: Rates) -> Self {
        let Rates {
            lag,
            consumed,
            produced,
        } = rates;
        Self {
            lag,
            consumed,
            produced,
        }
    }
}

/// The groups of the latest snapshot, or only `group`. With `topic`: the parts of the groups on that topic, without the
/// groups that read nothing of it.
pub fn group_lag_views(
    history: &History,
    group: Option<&str>,
    topic: Option<&str>,
    thresholds: Thresholds,
) -> Vec<GroupLagView> {
    let Some(latest) = history.latest() else {
        return Vec::new();
    };
    let groups = latest.groups.iter();
    let selected = groups.filter(|(name, _)| group.is_none_or(|group| group == *name));
    let view = |(name, found): (&String, &Group)| {
        let health = assess(history, name, topic, thresholds)?;
        Some(group_view(name, found, &health, topic, latest.taken_at))
    };
    selected.filter_map(view).collect()
}

fn group_view(
    name: &str,
    group: &Group,
    health: &GroupHealth,
    topic: Option<&str>,
    now: DateTime<Utc>,
) -> GroupLagView {
    let rows = group.partitions.iter();
    let inside = rows.filter(|(at, _)| topic.is_none_or(|topic| topic == at.topic));
    GroupLagView {
        group: name.to_owned(),
        state: group.state.clone(),
        members: group.members.len(),
        status: health.status().name(),
        rule: health.rule().name(),
        evidence: health.evidence().to_owned(),
        total_lag: health.total_lag,
        at_least: health.is_upper_bound,
        not_known: health.unknown_partitions,
        oldest_unread_seconds: health.oldest_unread.map(|then| age(then, now)),
        rates: health.rates.map(RatesView::from),
        time_to_drain_seconds: health.time_to_drain.map(|time| time.as_secs_f64()),
        partitions: inside
            .map(|(at, row)| partition_view(at, row, health.partition_rates.get(at).copied(), now))
            .collect(),
    }
}

fn partition_view(
    at: &TopicPartition,
    row: &PartitionLag,
    rates: Option<Rates>,
    now: DateTime<Utc>,
) -> PartitionLagView {
    let lag = row.lag.ok();
    let oldest = lag.and_then(|lag| lag.oldest_unread);
    PartitionLagView {
        topic: at.topic.clone(),
        partition: at.partition,
        lag: lag.map(|lag| lag.readable),
        at_least: lag.is_some_and(|lag| lag.is_upper_bound),
        reason: row.lag.err().map(|why| why.to_string()),
        committed_offset: row.committed,
        stable_offset: row.log_offsets.map(|log| log.last_stable),
        end_offset: row.log_offsets.map(|log| log.high_watermark),
        control_records: lag.map(|lag| lag.control_records),
        aborted_records: lag.map(|lag| lag.aborted_records),
        beyond_stable: lag.map(|lag| lag.beyond_last_stable),
        lost: lag.map(|lag| lag.lost),
        oldest_unread_seconds: oldest.map(|then| age(then, now)),
        owner: row.owner.as_ref().map(|owner| {
            let host = owner.host.trim_start_matches('/');
            format!("{}@{host}", owner.client_id)
        }),
        rates: rates.map(RatesView::from),
        time_to_drain_seconds: lag.and_then(|lag| time_to_drain(lag.readable, rates)),
    }
}

/// A timestamp ahead of this machine's clock has the age 0.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - then).as_seconds_f64().max(0.0)
}

fn time_to_drain(lag: i64, rates: Option<Rates>) -> Option<f64> {
    match rates {
        _ if lag == 0 => Some(0.0),
        Some(rates) if rates.lag < 0.0 => Some(lag as f64 / -rates.lag),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn falling(lag: f64) -> Option<Rates> {
        Some(Rates {
            lag,
            consumed: 0.0,
            produced: 0.0,
        })
    }

    #[test]
    fn a_lag_that_does_not_shrink_is_never_drained() {
        assert_eq!(time_to_drain(100, falling(-10.0)), Some(10.0));
        assert_eq!(time_to_drain(100, falling(0.0)), None);
        assert_eq!(time_to_drain(100, falling(10.0)), None);
        assert_eq!(time_to_drain(100, None), None);
        assert_eq!(time_to_drain(0, None), Some(0.0));
    }

    #[test]
    fn a_record_from_the_future_has_the_age_zero() {
        let now = Utc::now();
        assert_eq!(age(now + chrono::TimeDelta::seconds(5), now), 0.0);
        assert_eq!(age(now - chrono::TimeDelta::seconds(5), now), 5.0);
    }
}
