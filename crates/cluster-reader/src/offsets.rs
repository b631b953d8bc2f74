//! Where partitions begin and end.

use std::collections::BTreeMap;

use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::brokers::{Brokers, Node, Topics, by_leader};
use crate::error::ReadError;
use crate::snapshot::{Ends, TopicPartition};

/// An offset for each partition.
type Offsets = BTreeMap<TopicPartition, i64>;

/// ListOffsets' names for the beginning and the end of a log.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
/// With the isolation of a `read_committed` consumer the end is the last stable offset.
const COMMITTED: i8 = 1;
const UNCOMMITTED: i8 = 0;

/// The ends of these partitions. In this order of asking, `committed <= stable <= high` for offsets committed before; a request may
/// name a partition only once, hence three.
pub(crate) async fn ends(
    brokers: &mut Brokers,
    topics: &Topics,
    wanted: impl IntoIterator<Item = TopicPartition>,
) -> Result<BTreeMap<TopicPartition, Ends>, ReadError> {
    let of = brokers.asked::<MetadataRequest>(-1);
    let by_leader = by_leader(of, topics, wanted)?;
    let mut ends = BTreeMap::new();
    for (leader, partitions) in by_leader {
        let low = offsets(brokers, leader, &partitions, EARLIEST, UNCOMMITTED).await?;
        let stable = offsets(brokers, leader, &partitions, LATEST, COMMITTED).await?;
        let high = offsets(brokers, leader, &partitions, LATEST, UNCOMMITTED).await?;
        for at in partitions {
            let found = (low.get(&at), stable.get(&at), high.get(&at));
            let (Some(&low), Some(&stable), Some(&high)) = found else {
                let of = brokers.asked::<ListOffsetsRequest>(leader);
                return Err(of.incomplete(at.to_string(), "it is not in the answer"));
            };
            if !(low <= stable && stable <= high) {
                let of = brokers.asked::<ListOffsetsRequest>(leader);
                return Err(of.incomplete(at.to_string(), "its log was cut meanwhile"));
            }
            ends.insert(at, Ends { low, stable, high });
        }
    }
    Ok(ends)
}

async fn offsets(
    brokers: &mut Brokers,
    leader: Node,
    partitions: &[TopicPartition],
    timestamp: i64,
    isolation: i8,
) -> Result<Offsets, ReadError> {
    let mut by_topic = BTreeMap::<&str, Vec<ListOffsetsPartition>>::new();
    for at in partitions {
        let asked = ListOffsetsPartition::default()
            .with_partition_index(at.partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp);
        by_topic.entry(&at.topic).or_default().push(asked);
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partitions(partitions)
    });
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation)
        .with_topics(topics.collect());
    let answer = brokers.ask(leader, &request).await?;
    let of = brokers.asked::<ListOffsetsRequest>(leader);
    let mut offsets = Offsets::new();
    for topic in &answer.topics {
        for one in &topic.partitions {
            let at = TopicPartition {
                topic: topic.name.0.to_string(),
                partition: one.partition_index,
            };
            of.fine(one.error_code, || at.to_string())?;
            offsets.insert(at, one.offset);
        }
    }
    Ok(offsets)
}
