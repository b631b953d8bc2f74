//! The samples of a run: one number for each line and second; fewer for each line when the scenario takes long.
//!
//! For the shop's three groups these are about 40 lines of at most 1 200 numbers: less than a megabyte.

use std::collections::{BTreeMap, BTreeSet};

use cluster_reader::{Group, Snapshot, TopicPartition};

use super::changes::Changes;

/// Samples kept. With one more, every second sample is dropped and the interval doubles.
const MOST: usize = 1_200;

/// Lines kept, in order of appearance.
const MOST_LINES: usize = 300;

/// Rebalances kept; further ones are only counted.
const MOST_REBALANCES: usize = 200;

/// A number over time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// The lag of a group, records.
    Lag(String),
    /// The same on one partition.
    PartitionLag(String, TopicPartition),
    /// Offsets that a group has committed since the start: records and markers.
    Consumed(String),
    /// Offsets that a topic has grown by since the start: records and markers.
    Produced(String),
    /// Orders of this status.
    Orders(String),
}

/// A change of a group's members or of their partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebalance {
    /// Seconds from the start.
    pub at: f64,
    /// The group.
    pub group: String,
    /// The number of members before.
    pub before: usize,
    /// The number of members after.
    pub after: usize,
    /// The number of new members.
    pub joined: usize,
    /// The number of partitions with another owner than before, or with none.
    pub moved: usize,
}

/// The members of a group with their partitions.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seats {
    members: BTreeSet<String>,
    owners: BTreeMap<TopicPartition, String>,
}

/// All samples of a run.
#[derive(Debug)]
pub struct Samples {
    times: Vec<f64>,
    apart: f64,
    lines: BTreeMap<Line, Vec<Option<f64>>>,
    /// Settings.
    pub changes: Changes,
    rebalances: Vec<Rebalance>,
    rebalances_in_all: usize,
    seats: BTreeMap<String, Seats>,
    ends: Option<BTreeMap<TopicPartition, i64>>,
    committed: BTreeMap<(String, TopicPartition), i64>,
    totals: BTreeMap<Line, f64>,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            times: Vec::new(),
            apart: 0.0,
            lines: BTreeMap::new(),
            changes: Changes::default(),
            rebalances: Vec::new(),
            rebalances_in_all: 0,
            seats: BTreeMap::new(),
            ends: None,
            committed: BTreeMap::new(),
            totals: BTreeMap::new(),
        }
    }
}

impl Samples {
    /// Adds the sample of this second. Without a snapshot the cluster could not be read: the lines have a gap, not zeros.
    pub fn add(&mut self, at: f64, cluster: Option<&Snapshot>, orders: Vec<(String, f64)>) {
        let mut now = BTreeMap::new();
        if let Some(snapshot) = cluster {
            self.produced(snapshot);
            for (name, group) in &snapshot.groups {
                self.rebalanced(at, name, group);
                self.consumed(name, group);
                lags(name, group, &mut now);
            }
            now.extend(self.totals.iter().map(|(line, sum)| (line.clone(), *sum)));
        }
        let orders = orders.into_iter();
        now.extend(orders.map(|(status, count)| (Line::Orders(status), count)));
        let last = self.times.last();
        if last.is_none_or(|last| at - last >= self.apart) {
            self.keep(at, now);
        }
    }

    fn keep(&mut self, at: f64, mut now: BTreeMap<Line, f64>) {
        for (line, values) in &mut self.lines {
            values.push(now.remove(line));
        }
        for (line, value) in now {
            if self.lines.len() < MOST_LINES {
                let mut values = vec![None; self.times.len()];
                values.push(Some(value));
                self.lines.insert(line, values);
            }
        }
        self.times.push(at);
        if self.times.len() > MOST {
            halve(&mut self.times);
            self.lines.values_mut().for_each(halve);
            // Half a second less: a tick is never exactly on time.
            self.apart = (self.apart * 2.0).max(1.5);
        }
    }

    fn produced(&mut self, snapshot: &Snapshot) {
        let topics = snapshot.topics.iter();
        let ends = topics.flat_map(|(topic, partitions)| {
            let at = |partition: &i32| TopicPartition {
                topic: topic.clone(),
                partition: *partition,
            };
            partitions
                .iter()
                .map(move |(number, ends)| (at(number), ends.high_watermark))
        });
        let ends: BTreeMap<TopicPartition, i64> = ends.collect();
        for (at, high) in &ends {
            let sum = self.totals.entry(Line::Produced(at.topic.clone()));
            let sum = sum.or_default();
            // Offsets at the first sample are not counted. A topic that was created or recreated since then counts from 0.
            let before = self.ends.as_ref().map(|before| before.get(at).copied());
            let grown = match before {
                None => 0,
                Some(Some(before)) if before <= *high => high - before,
                Some(_) => *high,
            };
            *sum += grown as f64;
        }
        self.ends = Some(ends);
    }

    fn consumed(&mut self, name: &str, group: &Group) {
        let sum = self.totals.entry(Line::Consumed(name.to_owned()));
        let sum = sum.or_default();
        for (at, row) in &group.partitions {
            let key = (name.to_owned(), at.clone());
            let before = match row.committed {
                Some(committed) => self.committed.insert(key, committed),
                None => self.committed.remove(&key),
            };
            if let (Some(before), Some(now)) = (before, row.committed) {
                // Less than before: the offsets were reset, or the topic was recreated.
                *sum += (now - before).max(0) as f64;
            }
        }
    }

    fn rebalanced(&mut self, at: f64, name: &str, group: &Group) {
        // During a rebalance no member owns a partition; that is not its result.
        if group.state != "Stable" && group.state != "Empty" {
            return;
        }
        let mut now = Seats::default();
        for member in &group.members {
            let id = &member.owner.member_id;
            now.members.insert(id.clone());
            let owned = member.assignment.iter();
            now.owners.extend(owned.map(|at| (at.clone(), id.clone())));
        }
        let Some(before) = self.seats.insert(name.to_owned(), now.clone()) else {
            return;
        };
        if before == now {
            return;
        }
        self.rebalances_in_all += 1;
        if self.rebalances.len() < MOST_REBALANCES {
            let partitions: BTreeSet<_> = before.owners.keys().chain(now.owners.keys()).collect();
            let moved = |at: &&&TopicPartition| before.owners.get(*at) != now.owners.get(*at);
            self.rebalances.push(Rebalance {
                at,
                group: name.to_owned(),
                before: before.members.len(),
                after: now.members.len(),
                joined: now.members.difference(&before.members).count(),
                moved: partitions.iter().filter(moved).count(),
            });
        }
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.keys()
    }

    /// A line over time: seconds from the start, and the value where it was known.
    pub fn points(&self, line: &Line) -> Vec<(f64, Option<f64>)> {
        let values = self.lines.get(line).into_iter().flatten();
        self.times.iter().copied().zip(values.copied()).collect()
    }

    /// The rebalances in order, up to a bound, and their total number.
    pub fn rebalances(&self) -> (&[Rebalance], usize) {
        (&self.rebalances, self.rebalances_in_all)
    }
}

fn lags(name: &str, group: &Group, now: &mut BTreeMap<Line, f64>) {
    let mut total = None;
    for (at, row) in &group.partitions {
        // A partition without a commit has no lag: it is left out, not counted as 0. So is a lag of
        // which only bounds are known.
        if let Some(lag) = row.lag.ok().and_then(|lag| lag.readable.exact()) {
            let lag = lag as f64;
            *total.get_or_insert(0.0) += lag;
            now.insert(Line::PartitionLag(name.to_owned(), at.clone()), lag);
        }
    }
    if let Some(total) = total {
        now.insert(Line::Lag(name.to_owned()), total);
    }
}

fn halve<T>(values: &mut Vec<T>) {
    let mut n = 0;
    values.retain(|_| {
        n += 1;
        n % 2 == 1
    });
}

#[cfg(test)]
mod tests;
