//! How long each group committed nothing while records waited for it.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_reader::{Group, Snapshot};

/// The time without a commit of each group, since this process or the group exists.
#[derive(Debug, Default)]
pub(super) struct CommitGaps(BTreeMap<String, Duration>);

impl CommitGaps {
    /// Adds the time between two polls to the groups that committed nothing in it although records
    /// waited all the time. So the poll in which a gap begins or ends does not count: a gap is
    /// counted up to two intervals too short, and one that is shorter than an interval not at all.
    pub(super) fn add(&mut self, before: Option<&Snapshot>, snapshot: &Snapshot) {
        self.0.retain(|name, _| snapshot.groups.contains_key(name));
        for (name, group) in &snapshot.groups {
            let gap = self.0.entry(name.clone()).or_default();
            let Some(before) = before else { continue };
            let time = (snapshot.taken_at - before.taken_at).to_std();
            let earlier = before.groups.get(name);
            if let (Ok(time), Some(earlier)) = (time, earlier)
                && committed_nothing(earlier, group)
            {
                *gap += time;
            }
        }
    }

    /// Each group with its time.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.0.iter().map(|(group, gap)| (group.as_str(), *gap))
    }
}

/// Whether a record certainly waited at both polls, and no committed offset differs.
fn committed_nothing(before: &Group, now: &Group) -> bool {
    let mut both = now.partitions.iter().filter_map(|(at, row)| {
        let before = before.partitions.get(at)?;
        Some((before, row))
    });
    let waits = |row: &cluster_reader::PartitionLag| {
        row.lag.as_ref().is_ok_and(|lag| lag.readable.lower() > 0)
    };
    let mut is_waiting = false;
    let all_equal = both.all(|(before, now)| {
        is_waiting |= waits(before) && waits(now);
        before.committed == now.committed
    });
    all_equal && is_waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag_state::tests::{group, snapshot};

    #[test]
    fn only_time_in_which_records_wait_and_nothing_is_committed_counts() {
        let mut gaps = CommitGaps::default();
        let mut before: Option<Snapshot> = None;
        let mut poll = |at: i64, lag: i64, committed: i64| {
            let mut now = snapshot(at, &[]);
            let mut of_group = group("payments", lag);
            for row in of_group.partitions.values_mut() {
                row.committed = Some(committed);
            }
            now.groups.insert("g".to_owned(), of_group);
            gaps.add(before.as_ref(), &now);
            before = Some(now);
            gaps.all().map(|(_, gap)| gap.as_secs()).sum::<u64>()
        };
        assert_eq!(poll(0, 9, 0), 0, "there was no poll before");
        assert_eq!(poll(5, 9, 0), 5);
        assert_eq!(poll(10, 9, 1), 5, "an offset was committed");
        assert_eq!(poll(15, 0, 1), 5, "no record waits");
        assert_eq!(poll(20, 9, 1), 5, "no record waited before");
        assert_eq!(poll(60, 9, 1), 45);
        assert_eq!(poll(60, 9, 1), 45, "no time has passed");
        gaps.add(None, &snapshot(65, &[]));
        assert_eq!(gaps.all().count(), 0, "the group was deleted");
    }
}
