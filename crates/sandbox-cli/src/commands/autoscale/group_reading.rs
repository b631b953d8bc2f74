//! From snapshots of the cluster to a reading of the watched group.

use autoscaler::{CountedRecords, PartitionReading, Reading, Waiting};
use cluster_reader::group_health::{History, Thresholds, assess};
use cluster_reader::{LagUndefined, PartitionLag, Snapshot, TopicPartition};
use shared_events::{NamePrefix, Service, Topic};
use stack::lag_view;

/// The group whose lag counts, by its name on the broker.
pub(super) struct WatchedGroup {
    pub(super) group: String,
    /// Only this topic counts; `None`: every topic that the group reads.
    topic: Option<String>,
    /// Topics of which a partition counts even if the group has not committed on it.
    topics: Vec<String>,
}

impl WatchedGroup {
    /// A topic of the shop is typed without the stack's prefix.
    pub(super) fn new(group: String, topic: Option<&str>, prefix: &NamePrefix) -> Self {
        let of_shop = |topic: &str| Topic::ALL.into_iter().find(|one| one.name() == topic);
        let topic = topic
            .map(|topic| of_shop(topic).map_or_else(|| topic.to_owned(), |one| prefix.topic(one)));
        let service = lag_view::service_of_group(&group, prefix);
        let consumed = service.map_or(&[][..], Service::consumes).iter();
        let topics = match &topic {
            Some(topic) => vec![topic.clone()],
            None => consumed.map(|topic| prefix.topic(*topic)).collect(),
        };
        Self {
            group,
            topic,
            topics,
        }
    }

    /// Whether a member of the group has a `group.instance.id`.
    pub(super) fn has_static_members(&self, snapshot: &Snapshot) -> bool {
        let group = snapshot.groups.get(&self.group);
        group.is_some_and(|one| {
            one.members
                .iter()
                .any(|member| member.instance_id.is_some())
        })
    }

    fn counts(&self, at: &TopicPartition) -> bool {
        self.topic.as_ref().is_none_or(|topic| *topic == at.topic)
    }
}

/// The watched group in the last snapshot of the history, which has one.
pub(super) fn group_reading(history: &History, watched: &WatchedGroup, replicas: u32) -> Reading {
    let Some(snapshot) = history.latest() else {
        return Reading {
            at: chrono::DateTime::UNIX_EPOCH,
            replicas,
            members: 0,
            state: "Dead".to_owned(),
            partitions: Vec::new(),
        };
    };
    let group = snapshot.group_on_topics(&watched.group, &watched.topics);
    let health = assess(history, &watched.group, None, Thresholds::default(), &[]);
    let stalled = health.map(|one| one.stalled_partitions).unwrap_or_default();
    let counted = group.partitions.iter().filter(|(at, _)| watched.counts(at));
    Reading {
        at: snapshot.taken_at,
        replicas,
        members: group.members.len(),
        state: group.state.clone(),
        partitions: counted
            .map(|(at, row)| partition_reading(at, row, stalled.contains(at)))
            .collect(),
    }
}

fn partition_reading(
    at: &TopicPartition,
    row: &PartitionLag,
    is_stalled: bool,
) -> PartitionReading {
    let waiting = match &row.lag {
        Ok(lag) => match lag.readable.exact() {
            Some(records) => Waiting::Exactly(records),
            None => Waiting::AtLeast(lag.readable.lower()),
        },
        Err(LagUndefined::NoRecordYet) => Waiting::Exactly(0),
        Err(LagUndefined::NothingCommitted) => Waiting::NothingCommitted,
        Err(other) => Waiting::Unknown(other.to_string()),
    };
    let counted = row.lag.ok().and_then(|lag| {
        let written = lag.written?;
        Some(CountedRecords {
            origin: written.origin,
            read: written.records - lag.readable.exact()?,
            written: written.records,
        })
    });
    PartitionReading {
        topic: at.topic.clone(),
        partition: at.partition,
        committed: row.committed,
        end: row.log_offsets.map(|log| log.high_watermark),
        waiting,
        counted,
        is_owned: row.owner.is_some(),
        is_stalled,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::Utc;
    use cluster_reader::{Group, Lag, LagCount, LogOffsets, Protocol, RecordsWritten};

    use super::*;

    fn row(committed: Option<i64>, lag: Result<Lag, LagUndefined>) -> PartitionLag {
        let log = LogOffsets {
            log_start: 0,
            last_stable: 20,
            high_watermark: 20,
        };
        PartitionLag {
            committed,
            log_offsets: Some(log),
            owner: None,
            lag,
        }
    }

    /// A snapshot in which the group has committed on partitions 0 and 1 of three.
    fn snapshot() -> Snapshot {
        let lag = |readable| Lag {
            readable,
            control_records: 4,
            written: Some(RecordsWritten {
                origin: 1,
                records: 16,
            }),
            ..Lag::default()
        };
        let at = |partition| TopicPartition {
            topic: "payments".to_owned(),
            partition,
        };
        let rows = [
            (at(0), row(Some(12), Ok(lag(LagCount::of(4))))),
            (at(1), row(Some(12), Ok(lag(LagCount::between(3, 8))))),
        ];
        let group = Group {
            state: "Stable".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: BTreeMap::from(rows),
        };
        let log = |end| LogOffsets {
            log_start: 0,
            last_stable: end,
            high_watermark: end,
        };
        let logs = BTreeMap::from([(0, log(20)), (1, log(20)), (2, log(1)), (3, log(0))]);
        Snapshot {
            taken_at: Utc::now(),
            groups: BTreeMap::from([("inventory-service-group".to_owned(), group)]),
            topics: BTreeMap::from([("payments".to_owned(), logs)]),
            replicas: BTreeMap::new(),
        }
    }

    fn waiting(group: &str, topic: Option<&str>) -> Vec<Waiting> {
        let watched = WatchedGroup::new(group.to_owned(), topic, &NamePrefix::default());
        let mut history = History::default();
        history.add(snapshot());
        let reading = group_reading(&history, &watched, 1);
        reading
            .partitions
            .into_iter()
            .map(|one| one.waiting)
            .collect()
    }

    #[test]
    fn markers_do_not_wait_and_a_partition_without_a_commit_is_unknown_unless_it_is_empty() {
        let expected = [
            Waiting::Exactly(4),
            Waiting::AtLeast(3),
            Waiting::NothingCommitted,
            Waiting::Exactly(0),
        ];
        assert_eq!(waiting("inventory-service-group", None), expected);
        assert_eq!(
            waiting("inventory-service-group", Some("payments")),
            expected
        );
        assert!(waiting("inventory-service-group", Some("orders")).is_empty());
    }

    #[test]
    fn a_group_that_does_not_exist_has_committed_nothing() {
        let unknown = waiting("other-group", Some("payments"));
        assert_eq!(
            unknown
                .iter()
                .filter(|one| **one == Waiting::NothingCommitted)
                .count(),
            3
        );
    }
}
