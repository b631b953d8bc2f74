//! A group as it was read.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cluster_reader::judge::{History, Judgement, Thresholds, judge};
use cluster_reader::{
    Ends, Group, GroupMember, Lag, Owner, PartitionLag, Protocol, Snapshot, TopicPartition,
};
use shared_events::NamePrefix;

use crate::recommend::Place;
use crate::settings::Way;

pub const GROUP: &str = "inventory-service-group";

/// A group on a topic. Each partition has one owner, and on each the group has read ten records.
pub struct Case {
    pub group: &'static str,
    pub topic: &'static str,
    pub way: Way,
    pub partitions: i32,
    pub members: usize,
    /// Records on each partition that were not read.
    pub waiting: i64,
    pub low: i64,
}

pub const SLOW: Case = Case {
    group: GROUP,
    topic: "payments",
    way: Way::Local,
    partitions: 3,
    members: 1,
    waiting: 300,
    low: 0,
};

fn member(n: usize, owns: Vec<TopicPartition>) -> GroupMember {
    GroupMember {
        owner: Owner {
            member_id: format!("m{n}"),
            client_id: "c".to_owned(),
            host: "h".to_owned(),
        },
        instance_id: None,
        owns,
    }
}

/// The group as it is read at this moment.
pub fn snapshot(case: &Case, at: DateTime<Utc>) -> Snapshot {
    let places = (0..case.partitions).map(|partition| TopicPartition {
        topic: case.topic.to_owned(),
        partition,
    });
    let places: Vec<TopicPartition> = places.collect();
    let (low, stable, high) = (case.low, 10 + case.waiting, 10 + case.waiting);
    let ends = Ends { low, stable, high };
    let lag = Lag {
        readable: case.waiting,
        at_least: false,
        control_records: 0,
        aborted_records: 0,
        beyond_stable: 0,
        lost: (low - 10).max(0),
        oldest_unread: None,
    };
    let mut members: Vec<_> = (0..case.members).map(|n| member(n, Vec::new())).collect();
    for (n, place) in places
        .iter()
        .enumerate()
        .take(if members.is_empty() { 0 } else { 99 })
    {
        let count = members.len();
        members[n % count].owns.push(place.clone());
    }
    let found = |place: &TopicPartition| PartitionLag {
        committed: Some(10),
        ends: Some(ends),
        owner: members
            .iter()
            .find(|one| one.owns.contains(place))
            .map(|one| one.owner.clone()),
        lag: Ok(lag),
    };
    let group = Group {
        state: if members.is_empty() {
            "Empty"
        } else {
            "Stable"
        }
        .to_owned(),
        protocol: Protocol::Classic,
        partitions: places
            .iter()
            .map(|place| (place.clone(), found(place)))
            .collect(),
        members,
    };
    let numbers = places.iter().map(|place| (place.partition, ends));
    Snapshot {
        taken_at: at,
        groups: BTreeMap::from([(case.group.to_owned(), group)]),
        topics: BTreeMap::from([(case.topic.to_owned(), numbers.collect())]),
    }
}

/// Looks at the group after these readings.
pub fn after<T>(
    case: &Case,
    readings: impl IntoIterator<Item = Snapshot>,
    look: impl FnOnce(Place<'_>, &Judgement) -> T,
) -> T {
    let mut history = History::default();
    readings.into_iter().for_each(|one| history.add(one));
    let topic = Some(case.topic);
    let judgement = judge(&history, case.group, topic, Thresholds::default()).unwrap();
    let place = Place {
        way: case.way,
        prefix: &NamePrefix::default(),
        snapshot: history.latest().unwrap(),
        group: case.group,
        topic: case.topic,
    };
    look(place, &judgement)
}
