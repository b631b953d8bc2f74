//! A group whose members, records and commits a test moves as it likes, and polls of it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::judge::{History, Judgement, Thresholds, judge};
use crate::{
    Ends, Group, GroupMember, Lag, NoLag, Owner, PartitionLag, Protocol, Snapshot, TopicPartition,
};

pub const PAYMENTS: &str = "payments";
pub const ORDERS: &str = "orders";
const GROUP: &str = "group";

/// Where everything begins: offset 10 of a log that begins at 0.
const START: i64 = 10;

pub struct Scene {
    pub history: History,
    every: i64,
    second: i64,
    group: Group,
    world: BTreeMap<TopicPartition, World>,
}

#[derive(Clone, Copy)]
struct World {
    committed: i64,
    low: i64,
    stable: i64,
    high: i64,
    control: i64,
    unknown: Option<NoLag>,
}

fn place(topic: &str, partition: i32) -> TopicPartition {
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
        owns: Vec::new(),
    }
}

impl Scene {
    /// A group at rest on a topic of its own.
    pub fn of(topic: &str, partitions: i32, members: usize, every: i64) -> Self {
        let mut scene = Self {
            history: History::default(),
            every,
            second: 0,
            group: Group {
                state: "Stable".to_owned(),
                protocol: Protocol::Classic,
                members: Vec::new(),
                partitions: BTreeMap::new(),
            },
            world: BTreeMap::new(),
        };
        scene.topic(topic, partitions, members);
        scene
    }

    /// One more topic, shared by so many members.
    pub fn topic(&mut self, topic: &str, partitions: i32, members: usize) {
        for partition in 0..partitions {
            let world = World {
                committed: START,
                low: 0,
                stable: START,
                high: START,
                control: 0,
                unknown: None,
            };
            self.world.insert(place(topic, partition), world);
        }
        self.members(members);
    }

    /// So many members share all partitions.
    pub fn members(&mut self, members: usize) {
        self.group.members = (0..members).map(member).collect();
        if members == 0 {
            self.group.state = "Empty".to_owned();
            return;
        }
        for (n, place) in self.world.keys().enumerate() {
            self.group.members[n % members].owns.push(place.clone());
        }
    }

    pub fn join_idle(&mut self, members: usize) {
        self.group.members.extend((10..10 + members).map(member));
    }

    pub fn state(&mut self, state: &str) {
        self.group.state = state.to_owned();
    }

    fn change(&mut self, topic: &str, partition: i32, change: impl FnOnce(&mut World)) {
        change(self.world.get_mut(&place(topic, partition)).unwrap());
    }

    pub fn produce(&mut self, topic: &str, partition: i32, records: i64) {
        self.change(topic, partition, |world| {
            world.stable += records;
            world.high += records;
        });
    }

    /// Reads and commits at most so many.
    pub fn read(&mut self, topic: &str, partition: i32, records: i64) {
        self.change(topic, partition, |world| {
            world.committed = (world.committed + records).min(world.stable);
        });
    }

    pub fn commit(&mut self, topic: &str, partition: i32, offset: i64) {
        self.change(topic, partition, |world| world.committed = offset);
    }

    /// At rest at this offset.
    pub fn at(&mut self, topic: &str, partition: i32, offset: i64) {
        self.commit(topic, partition, offset);
        self.end(topic, partition, offset);
    }

    pub fn end(&mut self, topic: &str, partition: i32, offset: i64) {
        self.change(topic, partition, |world| {
            (world.stable, world.high) = (offset, offset);
        });
    }

    pub fn low(&mut self, topic: &str, partition: i32, offset: i64) {
        self.change(topic, partition, |world| world.low = offset);
    }

    /// The marker of a transaction comes behind the last record.
    pub fn mark(&mut self, topic: &str, partition: i32) {
        self.produce(topic, partition, 1);
        self.change(topic, partition, |world| world.control += 1);
    }

    /// A transaction is open from the end on.
    pub fn open(&mut self, topic: &str, partition: i32, records: i64) {
        self.change(topic, partition, |world| world.high += records);
    }

    pub fn unknown(&mut self, topic: &str, partition: i32, reason: NoLag) {
        self.change(topic, partition, |world| world.unknown = Some(reason));
    }

    pub fn know(&mut self, topic: &str, partition: i32) {
        self.change(topic, partition, |world| world.unknown = None);
    }

    pub fn lag(&self, topic: &str, partition: i32) -> i64 {
        let world = self.world[&place(topic, partition)];
        world.stable - world.committed
    }

    /// Lets so many seconds pass, with a change in each, and polls every now and then, and at the end.
    pub fn run(mut self, seconds: i64, mut change: impl FnMut(&mut Self, i64)) -> Self {
        for second in 0..seconds {
            if self.second % self.every == 0 {
                self.take();
            }
            change(&mut self, second);
            self.second += 1;
        }
        self.poll()
    }

    /// A poll now.
    pub fn poll(mut self) -> Self {
        self.take();
        self.second += 1;
        self
    }

    fn take(&mut self) {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(self.second);
        let mut group = self.group.clone();
        let mut topics: BTreeMap<String, BTreeMap<i32, Ends>> = BTreeMap::new();
        for (place, world) in &self.world {
            let owns = |member: &&GroupMember| member.owns.contains(place);
            let owner = group.members.iter().find(owns);
            let found = world.found(now, owner.map(|member| member.owner.clone()));
            let ends = topics.entry(place.topic.clone()).or_default();
            ends.extend(found.ends.map(|ends| (place.partition, ends)));
            group.partitions.insert(place.clone(), found);
        }
        self.history.add(Snapshot {
            taken_at: now,
            groups: BTreeMap::from([(GROUP.to_owned(), group)]),
            topics,
        });
    }

    pub fn judge(&self, topic: Option<&str>) -> Judgement {
        judge(&self.history, GROUP, topic, Thresholds::default()).unwrap()
    }
}

impl World {
    fn found(&self, now: DateTime<Utc>, owner: Option<Owner>) -> PartitionLag {
        let from = self.committed.max(self.low);
        let readable = self.stable - from - self.control;
        let lag = Lag {
            readable,
            at_least: false,
            control_records: self.control,
            aborted_records: 0,
            beyond_stable: self.high - self.stable,
            lost: from - self.committed,
            oldest_unread: (readable > 0).then(|| now - TimeDelta::seconds(2)),
        };
        let beyond = (self.committed > self.high).then_some(NoLag::CommittedBeyondEnd);
        let lag = match self.unknown.or(beyond) {
            Some(reason) => Err(reason),
            None => Ok(lag),
        };
        let not_committed = [NoLag::NothingCommitted, NoLag::NoRecordYet];
        let ends = Ends {
            low: self.low,
            stable: self.stable,
            high: self.high,
        };
        PartitionLag {
            committed: (!self.unknown.is_some_and(|one| not_committed.contains(&one)))
                .then_some(self.committed),
            ends: (self.unknown != Some(NoLag::TopicDeleted)).then_some(ends),
            owner,
            lag,
        }
    }
}
