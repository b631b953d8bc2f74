//! Reads the log start, last stable offset and high watermark of partitions (ListOffsets).

use std::collections::BTreeMap;

use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::error::ReadError;
use crate::lag::LogOffsets;
use crate::protocol::brokers::{BrokerId, Brokers, Topics, by_leader};
use crate::snapshot::TopicPartition;

pub(crate) type Offsets = BTreeMap<TopicPartition, i64>;

/// Special timestamps of ListOffsets.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
/// Isolation levels. The latest offset of `read_committed` is the last stable offset.
const READ_COMMITTED: i8 = 1;
const READ_UNCOMMITTED: i8 = 0;

/// Reads the offsets of these partitions. A request may name a partition once, so three requests
/// are needed. In this order of requests, and for offsets committed before,
/// `committed <= last_stable <= high_watermark`.
pub(super) async fn read(
    brokers: &mut Brokers,
    topics: &Topics,
    wanted: impl IntoIterator<Item = TopicPartition>,
) -> Result<BTreeMap<TopicPartition, LogOffsets>, ReadError> {
    let call = brokers.call::<MetadataRequest>(-1);
    let by_leader = by_leader(call, topics, wanted)?;
    let mut logs = BTreeMap::new();
    for (leader, partitions) in by_leader {
        let starts = offsets(brokers, leader, &partitions, EARLIEST, READ_UNCOMMITTED).await?;
        let stable = offsets(brokers, leader, &partitions, LATEST, READ_COMMITTED).await?;
        let high = offsets(brokers, leader, &partitions, LATEST, READ_UNCOMMITTED).await?;
        let call = brokers.call::<ListOffsetsRequest>(leader);
        for at in partitions {
            let found = (starts.get(&at), stable.get(&at), high.get(&at));
            let (Some(&log_start), Some(&last_stable), Some(&high_watermark)) = found else {
                return Err(call.incomplete(at.to_string(), "it is not in the answer"));
            };
            if !(log_start <= last_stable && last_stable <= high_watermark) {
                return Err(call.incomplete(at.to_string(), "its log was truncated meanwhile"));
            }
            let log = LogOffsets {
                log_start,
                last_stable,
                high_watermark,
            };
            logs.insert(at, log);
        }
    }
    Ok(logs)
}

/// The offset of each partition at this timestamp; -1 if it has no record from that time on.
pub(crate) async fn offsets(
    brokers: &mut Brokers,
    leader: BrokerId,
    partitions: &[TopicPartition],
    timestamp: i64,
    isolation: i8,
) -> Result<Offsets, ReadError> {
    let mut by_topic = BTreeMap::<&str, Vec<ListOffsetsPartition>>::new();
    for at in partitions {
        let wanted = ListOffsetsPartition::default()
            .with_partition_index(at.partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp);
        by_topic.entry(&at.topic).or_default().push(wanted);
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
    let response = brokers.send(leader, &request).await?;
    let call = brokers.call::<ListOffsetsRequest>(leader);
    let mut offsets = Offsets::new();
    for topic in &response.topics {
        for one in &topic.partitions {
            let at = TopicPartition {
                topic: topic.name.0.to_string(),
                partition: one.partition_index,
            };
            call.check(one.error_code, || at.to_string())?;
            offsets.insert(at, one.offset);
        }
    }
    Ok(offsets)
}
