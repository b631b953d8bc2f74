//! What the readings of a group show: who owned a partition, and when nobody committed.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_reader::{Group, Owner, TopicPartition};

/// The shortest pause that counts. A member that works on one record for less than that commits in between.
const PAUSE: Duration = Duration::from_secs(1);

/// What the readings of a group have shown since the first.
pub(super) struct GroupWatch {
    /// The instance that owned each partition last.
    owners: BTreeMap<TopicPartition, String>,
    committed: BTreeMap<TopicPartition, i64>,
    /// Since when nothing was committed.
    quiet_since: Duration,
    without_commit: Duration,
    moved: usize,
    was_behind: bool,
    has_drained: bool,
}

impl GroupWatch {
    pub(super) fn new(group: &Group) -> Self {
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
    pub(super) fn add(&mut self, at: Duration, group: &Group) {
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
    /// Partitions that got another owner, each time.
    pub(super) fn moved(&self) -> usize {
        self.moved
    }

    /// The sum of all pauses.
    pub(super) fn without_commit(&self) -> Duration {
        self.without_commit
    }

    /// Whether records have waited, and none does now.
    pub(super) fn has_drained(&self) -> bool {
        self.has_drained
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
        assert!(!watch.has_drained());
        watch.add(seconds(9), &group(&[(None, 9, 0)]));
        assert!(watch.has_drained());
        watch.add(seconds(20), &group(&[(None, 9, 0)]));
        watch.add(seconds(21), &group(&[(None, 9, 1)]));
        assert!(!watch.has_drained());
        watch.add(Duration::from_millis(21_200), &group(&[(None, 10, 0)]));
        assert_eq!(watch.without_commit, seconds(3));
    }
}
