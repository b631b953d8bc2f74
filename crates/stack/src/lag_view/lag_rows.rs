//! The values that `lag` prints for each group, computed from a history of snapshots.

use chrono::{DateTime, Utc};
use cluster_reader::group_health::{GroupHealth, History, Rates, Thresholds, assess};
use cluster_reader::{Group, LagCount, PartitionLag, TopicPartition};
use serde::Serialize;

use crate::shop_client::GroupStatus;

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
    pub status: String,
    /// The rule that decided the status.
    pub rule: String,
    /// The values that the rule decided by, in a sentence.
    pub evidence: String,
    /// Readable records, over the partitions where the lag is known; `None` if it is known of no partition, and while only
    /// bounds of it are known.
    pub total_lag: Option<i64>,
    /// At least so many records: equal to the sum if that is exact.
    pub total_lag_at_least: Option<i64>,
    /// At most so many records: equal to the sum if that is exact.
    pub total_lag_at_most: Option<i64>,
    /// The number of partitions without a known lag.
    pub not_known: usize,
    /// The age of the oldest unread record.
    pub oldest_unread_seconds: Option<f64>,
    /// Rates; `None` unless the records of each partition were counted exactly at two readings.
    pub rates: Option<Rates>,
    /// The time until the lag is 0 at the present rate; `None` unless the lag is exact and shrinks because the group reads.
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
    /// Readable records: the lag. `None` if it is not known, and while only bounds of it are known.
    pub lag: Option<i64>,
    /// At least so many records: equal to the lag if that is exact.
    pub lag_at_least: Option<i64>,
    /// At most so many records: equal to the lag if that is exact.
    pub lag_at_most: Option<i64>,
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
    /// Unread offsets whose record compaction has removed.
    pub compacted: Option<i64>,
    /// Records that were deleted before the group read them; `None` while only bounds of the number are known.
    pub lost: Option<i64>,
    /// At least so many records.
    pub lost_at_least: Option<i64>,
    /// At most so many records.
    pub lost_at_most: Option<i64>,
    /// The age of the oldest unread record.
    pub oldest_unread_seconds: Option<f64>,
    /// `client.id@host` of the member that owns the partition.
    pub owner: Option<String>,
    /// Rates; `None` unless the records were counted exactly at two readings.
    pub rates: Option<Rates>,
    /// As for the group.
    pub time_to_drain_seconds: Option<f64>,
}

/// In seconds; see [`Rates::time_to_drain`].
pub(super) fn time_to_drain(lag: Option<LagCount>, rates: Option<Rates>) -> Option<f64> {
    Rates::time_to_drain(rates, lag?).map(|time| time.as_secs_f64())
}

impl GroupLagView {
    /// The sum with its bounds.
    pub fn total(&self) -> Option<LagCount> {
        bounds(self.total_lag_at_least, self.total_lag_at_most)
    }

    /// Replaces the health of the group.
    pub fn set_health(&mut self, health: GroupStatus) {
        (self.status, self.rule) = (health.status, health.rule);
        self.evidence = health.evidence;
    }

    /// Sets the rates of the group to the sum of those of its partitions; `None` unless the rates of each partition whose lag
    /// is known are.
    pub(super) fn sum_rates(&mut self) {
        let known = self.partitions.iter().filter(|one| one.count().is_some());
        self.rates = Rates::sum(known.map(|one| one.rates));
        self.time_to_drain_seconds = time_to_drain(self.total(), self.rates);
    }
}

impl PartitionLagView {
    /// The lag with its bounds.
    pub fn count(&self) -> Option<LagCount> {
        bounds(self.lag_at_least, self.lag_at_most)
    }

    /// The lost records with their bounds.
    pub fn lost_count(&self) -> Option<LagCount> {
        bounds(self.lost_at_least, self.lost_at_most)
    }
}

fn bounds(at_least: Option<i64>, at_most: Option<i64>) -> Option<LagCount> {
    Some(LagCount::between(at_least?, at_most?))
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
        let health = assess(history, name, topic, thresholds, &[])?;
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
        status: health.status().name().to_owned(),
        rule: health.rule().name().to_owned(),
        evidence: health.evidence().to_owned(),
        total_lag: health.total_lag.and_then(LagCount::exact),
        total_lag_at_least: health.total_lag.map(LagCount::lower),
        total_lag_at_most: health.total_lag.map(LagCount::upper),
        not_known: health.unknown_partitions,
        oldest_unread_seconds: health.oldest_unread.map(|then| age(then, now)),
        rates: health.rates,
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
        lag: lag.and_then(|lag| lag.readable.exact()),
        lag_at_least: lag.map(|lag| lag.readable.lower()),
        lag_at_most: lag.map(|lag| lag.readable.upper()),
        reason: row.lag.err().map(|why| why.to_string()),
        committed_offset: row.committed,
        stable_offset: row.log_offsets.map(|log| log.last_stable),
        end_offset: row.log_offsets.map(|log| log.high_watermark),
        control_records: lag.map(|lag| lag.control_records),
        aborted_records: lag.map(|lag| lag.aborted_records),
        beyond_stable: lag.map(|lag| lag.beyond_last_stable),
        compacted: lag.map(|lag| lag.compacted),
        lost: lag.and_then(|lag| lag.lost.exact()),
        lost_at_least: lag.map(|lag| lag.lost.lower()),
        lost_at_most: lag.map(|lag| lag.lost.upper()),
        oldest_unread_seconds: oldest.map(|then| age(then, now)),
        owner: row.owner.as_ref().map(|owner| {
            let host = owner.host.trim_start_matches('/');
            format!("{}@{host}", owner.client_id)
        }),
        rates,
        time_to_drain_seconds: time_to_drain(lag.map(|lag| lag.readable), rates),
    }
}

/// A timestamp ahead of this machine's clock has the age 0.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - then).as_seconds_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_the_future_has_the_age_zero() {
        let now = Utc::now();
        assert_eq!(age(now + chrono::TimeDelta::seconds(5), now), 0.0);
        assert_eq!(age(now - chrono::TimeDelta::seconds(5), now), 5.0);
    }
}
