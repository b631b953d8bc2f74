//! What a group's rows say together. What is known and what is not stay apart.

use std::collections::BTreeMap;
use std::fmt;

use crate::snapshot::{Group, NoLag, PartitionLag, Protocol, Snapshot, TopicPartition};

impl Group {
    /// Readable records, summed over the partitions whose lag is known.
    pub fn known(&self) -> i64 {
        let known = self.partitions.values().filter_map(|row| row.lag.ok());
        known.fold(0, |sum, lag| sum.saturating_add(lag.readable))
    }

    /// Whether there is nothing to read, and nothing under way: every lag is known and 0, or its partition has no record yet, and
    /// no transaction is open.
    pub fn is_at_rest(&self) -> bool {
        self.at_most(0) && self.partitions.values().all(|row| row.open() == 0)
    }

    /// Whether the lag is surely not higher than this: a partition whose lag is unknown could be anything.
    pub fn at_most(&self, limit: i64) -> bool {
        let unknown = |row: &PartitionLag| !matches!(row.lag, Ok(_) | Err(NoLag::NoRecordYet));
        !self.partitions.values().any(unknown) && self.known() <= limit
    }
}

impl PartitionLag {
    /// Offsets of transactions that are open, also where no record can be read yet: the first that a partition ever holds may be one of
    /// a transaction whose marker is still on its way.
    fn open(&self) -> i64 {
        match (self.lag, self.ends) {
            (Ok(lag), _) => lag.beyond_stable,
            (Err(NoLag::NoRecordYet), Some(ends)) => ends.high - ends.stable,
            (Err(_), _) => 0,
        }
    }
}

impl fmt::Display for Group {
    /// One line: the sum, then each partition; `-` where the lag is not known, with the reason unless there is no record yet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lag {}:", self.known())?;
        for (at, row) in &self.partitions {
            match &row.lag {
                Ok(lag) => write!(f, " {at}={}", lag.readable)?,
                Err(NoLag::NoRecordYet) => write!(f, " {at}=-")?,
                Err(reason) => write!(f, " {at}=- ({reason})")?,
            }
            let open = row.open();
            if open > 0 {
                write!(f, " (+{open} in open transactions)")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

impl Snapshot {
    /// A group that is known to read these topics: as it was found, and with a row for each of their partitions, also those that it
    /// has neither committed for nor owns now. `None` becomes a group in state `Dead`, without members. While a group rebalances
    /// nobody owns anything, and what was never committed would else be overlooked.
    pub fn reading(&self, group: &str, topics: &[String]) -> Group {
        let found = self.groups.get(group).cloned();
        let mut group = found.unwrap_or_else(|| Group {
            state: "Dead".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: BTreeMap::new(),
        });
        for topic in topics {
            for (partition, ends) in self.topics.get(topic).into_iter().flatten() {
                let at = TopicPartition {
                    topic: topic.clone(),
                    partition: *partition,
                };
                let empty = ends.low == ends.stable;
                let why = if empty {
                    NoLag::NoRecordYet
                } else {
                    NoLag::NothingCommitted
                };
                group.partitions.entry(at).or_insert_with(|| PartitionLag {
                    committed: None,
                    ends: Some(*ends),
                    owner: None,
                    lag: Err(why),
                });
            }
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Ends, Lag};

    fn lag(readable: i64, beyond_stable: i64) -> Result<Lag, NoLag> {
        Ok(Lag {
            readable,
            at_least: false,
            control_records: 3,
            aborted_records: 0,
            beyond_stable,
            lost: 0,
            oldest_unread: None,
        })
    }

    fn group(lags: &[Result<Lag, NoLag>]) -> Group {
        let row = |(partition, lag): (i32, &Result<Lag, NoLag>)| {
            let at = TopicPartition {
                topic: "orders".to_owned(),
                partition,
            };
            let row = PartitionLag {
                committed: None,
                ends: None,
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
    fn a_group_is_at_rest_only_if_nothing_is_unknown_and_no_transaction_is_open() {
        assert!(group(&[lag(0, 0), Err(NoLag::NoRecordYet)]).is_at_rest());
        assert!(!group(&[lag(0, 0), Err(NoLag::NothingCommitted)]).is_at_rest());
        assert!(!group(&[lag(0, 0), Err(NoLag::TopicDeleted)]).is_at_rest());
        assert!(!group(&[lag(1, 0)]).is_at_rest());
        assert!(!group(&[lag(0, 1)]).is_at_rest());
        assert!(group(&[lag(0, 1)]).at_most(0));
    }

    #[test]
    fn the_first_transaction_of_a_partition_is_under_way_though_there_is_no_record_yet() {
        let mut group = group(&[lag(0, 0), Err(NoLag::NoRecordYet)]);
        let ends = |high| Ends {
            low: 0,
            stable: 0,
            high,
        };
        for (high, rests) in [(0, true), (2, false)] {
            for row in group.partitions.values_mut() {
                row.ends = Some(ends(high));
            }
            assert_eq!(group.is_at_rest(), rests, "{group}");
        }
        let line = "lag 0: orders[0]=0 orders[1]=- (+2 in open transactions)";
        assert_eq!(group.to_string(), line);
    }

    #[test]
    fn only_known_lags_are_summed_and_an_unknown_one_is_never_small() {
        let unknown = group(&[lag(3, 0), Err(NoLag::NothingCommitted), lag(4, 0)]);
        assert_eq!(unknown.known(), 7);
        assert!(!unknown.at_most(i64::MAX));
        assert!(group(&[lag(3, 0), lag(4, 0)]).at_most(7));
        assert!(!group(&[lag(3, 0), lag(4, 0)]).at_most(6));
    }

    #[test]
    fn a_group_is_told_in_one_line() {
        let line =
            group(&[lag(3, 2), Err(NoLag::NoRecordYet), Err(NoLag::TopicDeleted)]).to_string();
        let expected =
            "lag 3: orders[0]=3 (+2 in open transactions) orders[1]=- orders[2]=- (topic deleted)";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_partition_that_a_group_should_read_and_never_committed_for_is_not_overlooked() {
        let ends = |high| Ends {
            low: 0,
            stable: high,
            high,
        };
        let snapshot = Snapshot {
            taken_at: chrono::Utc::now(),
            groups: BTreeMap::from([("g".to_owned(), group(&[lag(0, 0)]))]),
            topics: BTreeMap::from([(
                "orders".to_owned(),
                BTreeMap::from([(0, ends(5)), (1, ends(0)), (2, ends(1))]),
            )]),
        };
        let topics = ["orders".to_owned()];
        let rows = snapshot.reading("g", &topics).partitions;
        let lags: Vec<_> = rows.into_values().map(|row| row.lag).collect();
        let expected = [
            lag(0, 0),
            Err(NoLag::NoRecordYet),
            Err(NoLag::NothingCommitted),
        ];
        assert_eq!(lags, expected);
        let nobody = snapshot.reading("nobody", &topics);
        assert_eq!(
            (nobody.state.as_str(), nobody.partitions.len()),
            ("Dead", 3)
        );
    }
}
