//! What `lag` tells of each group, out of a history of readings.

use chrono::{DateTime, Utc};
use cluster_reader::group_health::{History, GroupHealth, Rates, Thresholds, assess};
use cluster_reader::{Group, PartitionLag, TopicPartition};
use serde::Serialize;

/// A group, or its part on one topic.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// Its name on the broker.
    pub group: String,
    /// Kafka's word for it.
    pub state: String,
    /// How many members.
    pub members: usize,
    /// `ok`, `unknown`, `warning` or `critical`.
    pub status: &'static str,
    /// Which rule says so.
    pub rule: &'static str,
    /// On what evidence.
    pub evidence: String,
    /// Readable records, over the partitions where that is known; `None` if it is known of none.
    pub total_lag: Option<i64>,
    /// The sum counts markers and aborted records that were not looked at.
    pub at_least: bool,
    /// Partitions that the sum leaves out.
    pub not_known: usize,
    /// How old the oldest unread record is.
    pub oldest_unread_seconds: Option<f64>,
    /// How fast, after two readings.
    pub rates: Option<RatesView>,
    /// How long until nothing waits, if it goes on like this; `None` if the lag does not shrink.
    pub time_to_drain_seconds: Option<f64>,
    /// By topic and number.
    pub partitions: Vec<PartitionView>,
}

/// A group on one partition. The names are those of lag-monitor's `/lag`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionView {
    /// The topic's name on the broker.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Readable records.
    pub lag: Option<i64>,
    /// Of these some may be markers or aborted records that were not looked at.
    pub at_least: bool,
    /// Why the lag is not known.
    pub reason: Option<String>,
    /// The offset that is read next.
    pub committed_offset: Option<i64>,
    /// Where a `read_committed` consumer must stop.
    pub stable_offset: Option<i64>,
    /// The offset that the next record will get.
    pub end_offset: Option<i64>,
    /// Markers among the unread records.
    pub control_records: Option<i64>,
    /// Records of aborted transactions among them.
    pub aborted_records: Option<i64>,
    /// Offsets behind the stable one.
    pub beyond_stable: Option<i64>,
    /// Records deleted before they were read.
    pub lost: Option<i64>,
    /// How old the oldest unread record is.
    pub oldest_unread_seconds: Option<f64>,
    /// `client.id@host` of the member it is assigned to.
    pub owner: Option<String>,
    /// How fast, after two readings.
    pub rates: Option<RatesView>,
    /// How long until nothing waits, if it goes on like this; `None` if the lag does not shrink.
    pub time_to_drain_seconds: Option<f64>,
}

/// Records a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatesView {
    /// How the lag changes.
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

/// The groups of the last reading, or only one; with `topic`, their part on it, and of those only that have one.
pub fn views(
    history: &History,
    group: Option<&str>,
    topic: Option<&str>,
    thresholds: Thresholds,
) -> Vec<GroupView> {
    let Some(latest) = history.latest() else {
        return Vec::new();
    };
    let groups = latest.groups.iter();
    let wanted = groups.filter(|(name, _)| group.is_none_or(|group| group == *name));
    let view = |(name, found): (&String, &Group)| {
        let judged = assess(history, name, topic, thresholds)?;
        Some(group_view(name, found, &judged, topic, latest.taken_at))
    };
    wanted.filter_map(view).collect()
}

fn group_view(
    name: &str,
    group: &Group,
    judged: &GroupHealth,
    topic: Option<&str>,
    now: DateTime<Utc>,
) -> GroupView {
    let rows = group.partitions.iter();
    let inside = rows.filter(|(at, _)| topic.is_none_or(|topic| topic == at.topic));
    GroupView {
        group: name.to_owned(),
        state: group.state.clone(),
        members: group.members.len(),
        status: judged.status().name(),
        rule: judged.rule().name(),
        evidence: judged.evidence().to_owned(),
        total_lag: judged.total_lag,
        at_least: judged.is_upper_bound,
        not_known: judged.unknown_partitions,
        oldest_unread_seconds: judged.oldest_unread.map(|then| age(then, now)),
        rates: judged.rates.map(RatesView::from),
        time_to_drain_seconds: judged.time_to_drain.map(|time| time.as_secs_f64()),
        partitions: inside
            .map(|(at, row)| partition_view(at, row, judged.partition_rates.get(at).copied(), now))
            .collect(),
    }
}

fn partition_view(
    at: &TopicPartition,
    row: &PartitionLag,
    rates: Option<Rates>,
    now: DateTime<Utc>,
) -> PartitionView {
    let lag = row.lag.ok();
    let oldest = lag.and_then(|lag| lag.oldest_unread);
    PartitionView {
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
        time_to_drain_seconds: lag.and_then(|lag| drained(lag.readable, rates)),
    }
}

/// A clock that is ahead of ours makes no negative ages.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - then).as_seconds_f64().max(0.0)
}

fn drained(lag: i64, rates: Option<Rates>) -> Option<f64> {
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
        assert_eq!(drained(100, falling(-10.0)), Some(10.0));
        assert_eq!(drained(100, falling(0.0)), None);
        assert_eq!(drained(100, falling(10.0)), None);
        assert_eq!(drained(100, None), None);
        assert_eq!(drained(0, None), Some(0.0));
    }

    #[test]
    fn a_record_of_the_future_has_no_negative_age() {
        let now = Utc::now();
        assert_eq!(age(now + chrono::TimeDelta::seconds(5), now), 0.0);
        assert_eq!(age(now - chrono::TimeDelta::seconds(5), now), 5.0);
    }
}
