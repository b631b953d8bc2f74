//! Records that wait behind an open transaction. They are no lag, since no `read_committed` consumer can get them.

use std::collections::BTreeMap;

use super::lag_rows::GroupLagView;
use chrono::{DateTime, TimeDelta, Utc};

/// The transactions of the shop end sooner.
const MOMENT: TimeDelta = TimeDelta::seconds(1);

/// The partitions with an open transaction, from one reading to the next.
#[derive(Debug, Default)]
pub struct OpenTransactions {
    blocked: BTreeMap<(String, i32), Blocked>,
}

/// A partition with records after its last stable offset.
#[derive(Debug, Clone, Copy)]
struct Blocked {
    last_stable: i64,
    /// The time of the first reading with this last stable offset.
    since: DateTime<Utc>,
    /// From the last stable offset to the end, markers of transactions included.
    records: i64,
}

impl OpenTransactions {
    /// Adds a reading.
    pub fn add(&mut self, at: DateTime<Utc>, views: &[GroupLagView]) {
        let before = std::mem::take(&mut self.blocked);
        for one in views.iter().flat_map(|view| &view.partitions) {
            let (Some(last_stable), Some(end)) = (one.stable_offset, one.end_offset) else {
                continue;
            };
            if end <= last_stable {
                continue;
            }
            let partition = (one.topic.clone(), one.partition);
            let known = before.get(&partition);
            let known = known.filter(|known| known.last_stable == last_stable);
            let blocked = Blocked {
                last_stable,
                since: known.map_or(at, |known| known.since),
                records: end - last_stable,
            };
            self.blocked.insert(partition, blocked);
        }
    }

    /// Whether a later reading must show which transactions of the reading `first` stay open.
    pub fn is_undecided(&self, first: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let stays = self.blocked.values().any(|one| one.since <= first);
        stays && now - first < MOMENT
    }

    /// How many records wait; `None` unless a transaction has been open for longer than a moment.
    pub fn line(&self, now: DateTime<Utc>) -> Option<String> {
        let blocked = self.blocked.values();
        let blocked = blocked.filter(|one| now - one.since >= MOMENT);
        match blocked.map(|one| one.records).sum() {
            0_i64 => None,
            1 => Some(
                "1 record waits behind an open transaction: ./sandbox transactions list".to_owned(),
            ),
            records => Some(format!(
                "{records} records wait behind an open transaction: ./sandbox transactions list"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag_view::lag_rows::PartitionLagView;
    use crate::lag_view::test_views::{partition, view};

    fn views(stable: i64, end: i64) -> Vec<GroupLagView> {
        let mut view = view();
        view.partitions = vec![PartitionLagView {
            stable_offset: Some(stable),
            end_offset: Some(end),
            ..partition()
        }];
        // Two groups read the same partition.
        vec![view.clone(), view]
    }

    fn line(readings: &[(i64, i64, i64)]) -> (bool, Option<String>) {
        let mut open = OpenTransactions::default();
        let time = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let mut now = time(0);
        for (seconds, stable, end) in readings {
            now = time(*seconds);
            open.add(now, &views(*stable, *end));
        }
        (open.is_undecided(time(0), now), open.line(now))
    }

    #[test]
    fn what_waits_behind_a_transaction_is_named_once_the_transaction_stays_open() {
        let waits = "4 records wait behind an open transaction: ./sandbox transactions list";
        assert_eq!(line(&[(0, 6, 6)]), (false, None));
        assert_eq!(line(&[(0, 6, 8)]), (true, None));
        assert_eq!(
            line(&[(0, 6, 8), (2, 6, 10)]),
            (false, Some(waits.to_owned()))
        );
        // Transactions that begin and end move the last stable offset.
        assert_eq!(line(&[(0, 6, 8), (2, 9, 10)]), (false, None));
        assert_eq!(line(&[(0, 6, 8), (2, 10, 10)]), (false, None));
    }
}
