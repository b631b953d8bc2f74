//! Puts a group's rows together: every partition that it has committed for or that a member owns.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;

use crate::brokers::{self, Topics};
use crate::coordinator::Found;
use crate::snapshot::{Ends, Group, Lag, NoLag, Owner, PartitionLag, TopicPartition};
use crate::unread::{Stretch, Unread};

type AllEnds = BTreeMap<TopicPartition, Ends>;

/// Every partition that the group has committed for or that a member says it was assigned.
pub(crate) fn partitions(group: &Found) -> impl Iterator<Item = &TopicPartition> {
    let owned = group.members.iter().flat_map(|member| &member.owns);
    group.committed.keys().chain(owned)
}

/// Every partition that a group has committed for and these topics do not have. What members say of themselves does not count:
/// anybody could name what never was.
pub(crate) fn missing(
    topics: &Topics,
    groups: &BTreeMap<String, Found>,
) -> BTreeSet<TopicPartition> {
    let committed = groups.values().flat_map(|group| group.committed.keys());
    committed
        .filter(|at| brokers::partition(topics, at).is_none())
        .cloned()
        .collect()
}

/// What must be looked into, and up to where.
pub(crate) fn stretches(
    groups: &BTreeMap<String, Found>,
    ends: &AllEnds,
) -> BTreeMap<Stretch, i64> {
    let mut wanted = BTreeMap::new();
    for group in groups.values() {
        for at in partitions(group) {
            let Some(ends) = ends.get(at) else { continue };
            let start = start(group.committed.get(at).copied(), *ends);
            if start < ends.stable {
                let at = at.clone();
                wanted.insert(Stretch { at, start }, ends.stable);
            }
        }
    }
    wanted
}

/// The first offset that is still there to be read.
fn start(committed: Option<i64>, ends: Ends) -> i64 {
    committed.map_or(ends.low, |committed| committed.max(ends.low))
}

/// The group with its rows. A member writes its own assignment: partitions that do not exist are none of its rows, or anybody could
/// make as many as he likes.
pub(crate) fn group(mut found: Found, ends: &AllEnds, unread: &Unread) -> Group {
    for member in &mut found.members {
        member.owns.retain(|at| ends.contains_key(at));
    }
    let mut owners = BTreeMap::<TopicPartition, &Owner>::new();
    for member in &found.members {
        for at in &member.owns {
            owners.entry(at.clone()).or_insert(&member.owner);
        }
    }
    let all: BTreeSet<&TopicPartition> = partitions(&found).collect();
    let rows = all.into_iter().map(|at| {
        let committed = found.committed.get(at).copied();
        let ends = ends.get(at).copied();
        let row = PartitionLag {
            committed,
            ends,
            owner: owners.get(at).map(|owner| (*owner).clone()),
            lag: lag(at, committed, ends, unread),
        };
        (at.clone(), row)
    });
    let partitions = rows.collect();
    Group {
        state: found.state,
        protocol: found.protocol,
        members: found.members,
        partitions,
    }
}

/// `high - committed = readable + control_records + aborted_records + beyond_stable + lost`, always.
fn lag(
    at: &TopicPartition,
    committed: Option<i64>,
    ends: Option<Ends>,
    unread: &Unread,
) -> Result<Lag, NoLag> {
    let ends = ends.ok_or(NoLag::TopicDeleted)?;
    if committed.is_some_and(|committed| committed > ends.high) {
        return Err(NoLag::CommittedBeyondEnd);
    }
    let start = start(committed, ends);
    let at = at.clone();
    let walked = unread
        .of(&Stretch { at, start })
        .filter(|_| start < ends.stable);
    let (control, aborted) = walked.map_or((0, 0), |one| (one.control, one.aborted));
    let readable = (ends.stable - start).max(0) - control - aborted;
    let complete = walked.is_none_or(|one| one.is_complete());
    let Some(committed) = committed else {
        let never = readable == 0 && complete;
        return Err(if never {
            NoLag::NoRecordYet
        } else {
            NoLag::NothingCommitted
        });
    };
    Ok(Lag {
        readable,
        at_least: !complete,
        control_records: control,
        aborted_records: aborted,
        beyond_stable: ends.high - ends.stable.max(start),
        lost: start - committed,
        oldest_unread: walked
            .filter(|_| readable > 0)
            .and_then(|one| one.oldest())
            .and_then(DateTime::from_timestamp_millis),
    })
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::{
        MetadataResponsePartition, MetadataResponseTopic,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::{GroupMember, Protocol};

    fn at() -> TopicPartition {
        TopicPartition {
            topic: "orders".to_owned(),
            partition: 0,
        }
    }

    #[test]
    fn without_a_topic_or_with_a_commit_beyond_the_end_there_is_no_number() {
        let unread = Unread::default();
        let ends = Ends {
            low: 2,
            stable: 5,
            high: 5,
        };
        let lag = |committed, ends| lag(&at(), committed, ends, &unread);
        assert_eq!(lag(Some(3), None), Err(NoLag::TopicDeleted));
        assert_eq!(lag(Some(6), Some(ends)), Err(NoLag::CommittedBeyondEnd));
        assert_eq!(lag(None, Some(ends)), Err(NoLag::NothingCommitted));
        assert_eq!(
            lag(None, Some(Ends { low: 5, ..ends })),
            Err(NoLag::NoRecordYet)
        );
    }

    #[test]
    fn what_is_committed_for_and_not_there_is_missing_and_what_a_member_only_names_is_not() {
        let place = |topic: &str, partition| TopicPartition {
            topic: topic.to_owned(),
            partition,
        };
        let orders = MetadataResponseTopic::default()
            .with_partitions(vec![MetadataResponsePartition::default()]);
        let topics = Topics::from([("orders".to_owned(), orders)]);
        let (grown, new) = (place("orders", 1), place("payments", 0));
        let owner = Owner {
            member_id: "m".to_owned(),
            client_id: "c".to_owned(),
            host: "h".to_owned(),
        };
        let group = Found {
            state: "Stable".to_owned(),
            protocol: Protocol::Classic,
            members: vec![GroupMember {
                owner,
                instance_id: None,
                owns: vec![place("never-made", 0)],
            }],
            committed: [at(), grown.clone(), new.clone()].map(|at| (at, 1)).into(),
        };
        let groups = BTreeMap::from([("g".to_owned(), group)]);
        assert_eq!(missing(&topics, &groups), [grown, new].into());
    }

    proptest! {
        #[test]
        fn the_parts_always_sum_up_to_the_lag_of_kafkas_own_tool(
            committed in 0i64..100, low in 0i64..100, stable in 0i64..100, high in 0i64..100,
        ) {
            let mut all = [low, stable, high];
            all.sort_unstable();
            let [low, stable, high] = all;
            let lag = lag(&at(), Some(committed), Some(Ends { low, stable, high }), &Unread::default());
            prop_assert_eq!(lag.is_err(), committed > high);
            if let Ok(lag) = lag {
                let parts = [lag.readable, lag.control_records, lag.aborted_records, lag.beyond_stable, lag.lost];
                prop_assert!(parts.iter().all(|part| *part >= 0), "{:?}", lag);
                prop_assert_eq!(parts.iter().sum::<i64>(), high - committed);
            }
        }
    }
}
