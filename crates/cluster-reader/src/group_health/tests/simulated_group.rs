//! A simulated group: a test changes its members, records and commits, and polls it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::group_health::{GroupHealth, History, MemberReport, Thresholds, assess};
use crate::{
    Group, GroupMember, Lag, LagCount, LagUndefined, LogOffsets, Owner, PartitionLag, Protocol,
    RecordsWritten, Snapshot, TopicPartition,
};

pub const PAYMENTS: &str = "payments";
pub const ORDERS: &str = "orders";
const GROUP: &str = "group";

/// The first committed offset of each partition, in a log that begins at 0.
const START: i64 = 10;

pub struct SimulatedGroup {
    pub history: History,
    interval: i64,
    pub second: i64,
    group: Group,
    partitions: BTreeMap<TopicPartition, SimulatedPartition>,
}

#[derive(Clone, Copy)]
struct SimulatedPartition {
    committed: i64,
    log_start: i64,
    last_stable: i64,
    high_watermark: i64,
    /// Markers among the unread records.
    control: i64,
    /// All markers.
    markers: i64,
    /// Whether the records were counted.
    scanned: bool,
    /// The lost records, if they were counted before they were deleted.
    lost: Option<i64>,
    unknown: Option<LagUndefined>,
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.to_owned(),
        partition,
    }
}

fn member(id: usize) -> GroupMember {
    GroupMember {
        owner: Owner {
            member_id: format!("member-{id}"),
            client_id: "client".to_owned(),
            host: "/127.0.0.1".to_owned(),
        },
        instance_id: None,
        assignment: Vec::new(),
    }
}

impl SimulatedGroup {
    /// A group that is caught up on one topic.
    pub fn of(topic: &str, partitions: i32, members: usize, interval: i64) -> Self {
        let mut simulated = Self {
            history: History::default(),
            interval,
            second: 0,
            group: Group {
                state: "Stable".to_owned(),
                protocol: Protocol::Classic,
                members: Vec::new(),
                partitions: BTreeMap::new(),
            },
            partitions: BTreeMap::new(),
        };
        simulated.topic(topic, partitions, members);
        simulated
    }

    /// Adds a topic. All topics are then shared by this number of members.
    pub fn topic(&mut self, topic: &str, partitions: i32, members: usize) {
        for partition in 0..partitions {
            let state = SimulatedPartition {
                committed: START,
                log_start: 0,
                last_stable: START,
                high_watermark: START,
                control: 0,
                markers: 0,
                scanned: true,
                lost: None,
                unknown: None,
            };
            self.partitions.insert(at(topic, partition), state);
        }
        self.members(members);
    }

    /// Deletes a topic, and with it the committed offsets of its partitions.
    pub fn delete_topic(&mut self, topic: &str) {
        self.partitions.retain(|at, _| at.topic != topic);
        for member in &mut self.group.members {
            member.assignment.retain(|at| at.topic != topic);
        }
    }

    /// Replaces the members; they share all partitions.
    pub fn members(&mut self, members: usize) {
        self.group.members = (0..members).map(member).collect();
        if members == 0 {
            self.group.state = "Empty".to_owned();
            return;
        }
        self.group.state = "Stable".to_owned();
        for (n, partition) in self.partitions.keys().enumerate() {
            self.group.members[n % members]
                .assignment
                .push(partition.clone());
        }
    }

    pub fn join_idle(&mut self, members: usize) {
        self.group.members.extend((10..10 + members).map(member));
    }

    pub fn state(&mut self, state: &str) {
        self.group.state = state.to_owned();
    }

    fn change(
        &mut self,
        topic: &str,
        partition: i32,
        change: impl FnOnce(&mut SimulatedPartition),
    ) {
        change(self.partitions.get_mut(&at(topic, partition)).unwrap());
    }

    pub fn produce(&mut self, topic: &str, partition: i32, records: i64) {
        self.change(topic, partition, |state| {
            state.last_stable += records;
            state.high_watermark += records;
        });
    }

    /// Reads and commits at most this number of records.
    pub fn read(&mut self, topic: &str, partition: i32, records: i64) {
        self.change(topic, partition, |state| {
            state.committed = (state.committed + records).min(state.last_stable);
        });
    }

    pub fn commit(&mut self, topic: &str, partition: i32, offset: i64) {
        self.change(topic, partition, |state| state.committed = offset);
    }

    /// Sets the committed offset and the end of the log.
    pub fn at(&mut self, topic: &str, partition: i32, offset: i64) {
        self.commit(topic, partition, offset);
        self.end(topic, partition, offset);
    }

    pub fn end(&mut self, topic: &str, partition: i32, offset: i64) {
        self.change(topic, partition, |state| {
            (state.last_stable, state.high_watermark) = (offset, offset);
        });
    }

    pub fn low(&mut self, topic: &str, partition: i32, offset: i64) {
        self.change(topic, partition, |state| state.log_start = offset);
    }

    /// Appends the marker of a transaction.
    pub fn mark(&mut self, topic: &str, partition: i32) {
        self.produce(topic, partition, 1);
        self.change(topic, partition, |state| {
            state.control += 1;
            state.markers += 1;
        });
    }

    /// The number of lost records, which was counted before they were deleted.
    pub fn counted_lost(&mut self, topic: &str, partition: i32, records: i64) {
        self.change(topic, partition, |state| state.lost = Some(records));
    }

    /// Whether the following readings count the records of the partition.
    pub fn scanned(&mut self, topic: &str, partition: i32, scanned: bool) {
        self.change(topic, partition, |state| state.scanned = scanned);
    }

    /// Appends records of a transaction that stays open.
    pub fn open(&mut self, topic: &str, partition: i32, records: i64) {
        self.change(topic, partition, |state| state.high_watermark += records);
    }

    pub fn unknown(&mut self, topic: &str, partition: i32, reason: LagUndefined) {
        self.change(topic, partition, |state| state.unknown = Some(reason));
    }

    pub fn know(&mut self, topic: &str, partition: i32) {
        self.change(topic, partition, |state| state.unknown = None);
    }

    pub fn lag(&self, topic: &str, partition: i32) -> i64 {
        let state = self.partitions[&at(topic, partition)];
        state.last_stable - state.committed
    }

    /// Lets this number of seconds pass, applies a change in each, polls at the interval, and once more
    /// at the end.
    pub fn run(mut self, seconds: i64, mut change: impl FnMut(&mut Self, i64)) -> Self {
        for second in 0..seconds {
            if self.second % self.interval == 0 {
                self.add_snapshot();
            }
            change(&mut self, second);
            self.second += 1;
        }
        self.poll()
    }

    /// Polls once.
    pub fn poll(mut self) -> Self {
        self.add_snapshot();
        self.second += 1;
        self
    }

    fn add_snapshot(&mut self) {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(self.second);
        let mut group = self.group.clone();
        let mut topics: BTreeMap<String, BTreeMap<i32, LogOffsets>> = BTreeMap::new();
        for (partition, state) in &self.partitions {
            let is_owner = |member: &&GroupMember| member.assignment.contains(partition);
            let owner = group.members.iter().find(is_owner);
            let row = state.row(now, owner.map(|member| member.owner.clone()));
            let logs = topics.entry(partition.topic.clone()).or_default();
            logs.extend(row.log_offsets.map(|log| (partition.partition, log)));
            group.partitions.insert(partition.clone(), row);
        }
        self.history.add(Snapshot {
            replicas: BTreeMap::new(),
            taken_at: now,
            groups: BTreeMap::from([(GROUP.to_owned(), group)]),
            topics,
        });
    }

    pub fn assess(&self, topic: Option<&str>) -> GroupHealth {
        self.assess_with(topic, &[])
    }

    /// Assesses the group with what its members say.
    pub fn assess_with(&self, topic: Option<&str>, members: &[MemberReport]) -> GroupHealth {
        assess(&self.history, GROUP, topic, Thresholds::default(), members).unwrap()
    }
}

impl SimulatedPartition {
    fn row(&self, now: DateTime<Utc>, owner: Option<Owner>) -> PartitionLag {
        let from = self.committed.max(self.log_start);
        let readable = self.last_stable - from - self.control;
        let written = RecordsWritten {
            origin: 1,
            records: self.last_stable - self.markers,
        };
        let lost = from - self.committed;
        let lag = Lag {
            readable: match self.scanned {
                true => LagCount::of(readable),
                false => LagCount::between(0, readable),
            },
            control_records: self.control,
            beyond_last_stable: self.high_watermark - self.last_stable,
            lost: match self.lost {
                Some(records) => LagCount::of(records),
                None => LagCount::between(0, lost),
            },
            deleted_offsets: lost,
            written: self.scanned.then_some(written),
            oldest_unread: (readable > 0).then(|| now - TimeDelta::seconds(2)),
            ..Lag::default()
        };
        let beyond =
            (self.committed > self.high_watermark).then_some(LagUndefined::CommittedBeyondEnd);
        let lag = match self.unknown.or(beyond) {
            Some(reason) => Err(reason),
            None => Ok(lag),
        };
        let not_committed = [LagUndefined::NothingCommitted, LagUndefined::NoRecordYet];
        let log = LogOffsets {
            log_start: self.log_start,
            last_stable: self.last_stable,
            high_watermark: self.high_watermark,
        };
        PartitionLag {
            committed: (!self.unknown.is_some_and(|one| not_committed.contains(&one)))
                .then_some(self.committed),
            log_offsets: (self.unknown != Some(LagUndefined::TopicDeleted)).then_some(log),
            owner,
            lag,
        }
    }
}
