//! Sums over the partitions of a group. Partitions whose lag is undefined are kept apart.

use std::fmt;

use crate::lag::LagUndefined;
use crate::lag_count::LagCount;
use crate::snapshot::{Group, PartitionLag};

impl Group {
    /// Readable records, summed over the partitions whose lag is defined.
    pub fn known_lag(&self) -> LagCount {
        let known = self.partitions.values().filter_map(|row| row.lag.ok());
        known.map(|lag| lag.readable).sum()
    }

    /// Whether the group is caught up: no record is readable, every lag is defined or the
    /// partition has no record yet, and no transaction is open.
    pub fn is_caught_up(&self) -> bool {
        let open = |row: &PartitionLag| row.open_transaction_offsets() > 0;
        self.lag_at_most(0) && !self.partitions.values().any(open)
    }

    /// Whether the lag is certainly at most `limit`. `false` while the lag of a partition that has
    /// records is undefined.
    pub fn lag_at_most(&self, limit: i64) -> bool {
        let unknown =
            |row: &PartitionLag| !matches!(row.lag, Ok(_) | Err(LagUndefined::NoRecordYet));
        !self.partitions.values().any(unknown) && self.known_lag().upper() <= limit
    }
}

impl PartitionLag {
    /// Offsets of open transactions. A partition without readable records has them too: its first
    /// record may belong to a transaction whose marker is not written yet.
    fn open_transaction_offsets(&self) -> i64 {
        match (self.lag, self.log_offsets) {
            (Ok(lag), _) => lag.beyond_last_stable,
            (Err(LagUndefined::NoRecordYet), Some(log)) => log.high_watermark - log.last_stable,
            (Err(_), _) => 0,
        }
    }
}

impl fmt::Display for Group {
    /// One line: the total, then each partition. `-` stands for an undefined lag, with the reason
    /// unless the partition has no record yet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lag {}:", self.known_lag())?;
        for (at, row) in &self.partitions {
            match &row.lag {
                Ok(lag) => write!(f, " {at}={}", lag.readable)?,
                Err(LagUndefined::NoRecordYet) => write!(f, " {at}=-")?,
                Err(reason) => write!(f, " {at}=- ({reason})")?,
            }
            let open = row.open_transaction_offsets();
            if open > 0 {
                write!(f, " (+{open} in open transactions)")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lag::{Lag, LogOffsets};
    use crate::snapshot::{Protocol, Snapshot, TopicPartition};

    fn lag(readable: i64, beyond_last_stable: i64) -> Result<Lag, LagUndefined> {
        Ok(Lag {
            readable: LagCount::of(readable),
            control_records: 3,
            beyond_last_stable,
            ..Lag::default()
        })
    }

    fn group(lags: &[Result<Lag, LagUndefined>]) -> Group {
        let row = |(partition, lag): (i32, &Result<Lag, LagUndefined>)| {
            let at = TopicPartition {
                topic: "orders".to_owned(),
                partition,
            };
            let row = PartitionLag {
                committed: None,
                log_offsets: None,
                owner: None,
                lag: *lag,
            };
            (at, row)
        };
        Group {
            state: "Stable".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: (0..).zip(lags).map(row).collect(),
        }
    }

    #[test]
    fn a_group_with_an_unknown_lag_or_an_open_transaction_is_not_caught_up() {
        assert!(group(&[lag(0, 0), Err(LagUndefined::NoRecordYet)]).is_caught_up());
        assert!(!group(&[lag(0, 0), Err(LagUndefined::NothingCommitted)]).is_caught_up());
        assert!(!group(&[lag(0, 0), Err(LagUndefined::TopicDeleted)]).is_caught_up());
        assert!(!group(&[lag(1, 0)]).is_caught_up());
        assert!(!group(&[lag(0, 1)]).is_caught_up());
        assert!(group(&[lag(0, 1)]).lag_at_most(0));
    }

    #[test]
    fn the_first_transaction_of_a_partition_can_be_open() {
        let mut group = group(&[lag(0, 0), Err(LagUndefined::NoRecordYet)]);
        let log = |high_watermark| LogOffsets {
            log_start: 0,
            last_stable: 0,
            high_watermark,
        };
        for (high, caught_up) in [(0, true), (2, false)] {
            for row in group.partitions.values_mut() {
                row.log_offsets = Some(log(high));
            }
            assert_eq!(group.is_caught_up(), caught_up, "{group}");
        }
        let line = "lag 0: orders[0]=0 orders[1]=- (+2 in open transactions)";
        assert_eq!(group.to_string(), line);
    }

    #[test]
    fn an_unknown_lag_is_not_summed_and_is_never_small() {
        let unknown = group(&[lag(3, 0), Err(LagUndefined::NothingCommitted), lag(4, 0)]);
        assert_eq!(unknown.known_lag(), LagCount::of(7));
        assert!(!unknown.lag_at_most(i64::MAX));
        assert!(group(&[lag(3, 0), lag(4, 0)]).lag_at_most(7));
        assert!(!group(&[lag(3, 0), lag(4, 0)]).lag_at_most(6));
    }

    #[test]
    fn a_group_is_displayed_in_one_line() {
        let line = group(&[
            lag(3, 2),
            Err(LagUndefined::NoRecordYet),
            Err(LagUndefined::TopicDeleted),
        ])
        .to_string();
        let expected =
            "lag 3: orders[0]=3 (+2 in open transactions) orders[1]=- orders[2]=- (topic deleted)";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_partition_without_a_commit_is_among_the_rows_of_its_topic() {
        let log = |end| LogOffsets {
            log_start: 0,
            last_stable: end,
            high_watermark: end,
        };
        let snapshot = Snapshot {
            replicas: BTreeMap::new(),
            taken_at: chrono::Utc::now(),
            groups: BTreeMap::from([("g".to_owned(), group(&[lag(0, 0)]))]),
            topics: BTreeMap::from([(
                "orders".to_owned(),
                BTreeMap::from([(0, log(5)), (1, log(0)), (2, log(1))]),
            )]),
        };
        let topics = ["orders".to_owned()];
        let rows = snapshot.group_on_topics("g", &topics).partitions;
        let lags: Vec<_> = rows.into_values().map(|row| row.lag).collect();
        let expected = [
            lag(0, 0),
            Err(LagUndefined::NoRecordYet),
            Err(LagUndefined::NothingCommitted),
        ];
        assert_eq!(lags, expected);
        let absent = snapshot.group_on_topics("absent", &topics);
        assert_eq!(
            (absent.state.as_str(), absent.partitions.len()),
            ("Dead", 3)
        );
    }
}
