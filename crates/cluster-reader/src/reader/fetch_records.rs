//! The Fetch request for records, and its response.

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchResponse, PartitionData};
use kafka_protocol::protocol::StrBytes;

use crate::error::ReadError;
use crate::protocol::brokers::{BrokerId, Brokers, Topics};
use crate::snapshot::TopicPartition;

/// The most bytes in a response, unless its first batch is larger.
const RESPONSE_BYTES: i32 = 4 << 20;
/// The most partitions in a request.
pub(super) const PARTITIONS: usize = 200;

/// Asks for each partition from an offset on, for at most so many bytes, unless the first batch is
/// larger. `read_committed`, so that the response names the aborted transactions. A request may
/// name a partition once.
pub(crate) fn request<'a>(
    topics: &Topics,
    positions: impl Iterator<Item = (&'a TopicPartition, i64, i32)>,
) -> FetchRequest {
    let wanted = positions.map(|(at, offset, max_bytes)| {
        let partition = FetchPartition::default()
            .with_partition(at.partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(max_bytes);
        let mut topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string(at.topic.clone())))
            .with_partitions(vec![partition]);
        if let Some(known) = topics.get(&at.topic) {
            topic.topic_id = known.topic_id;
        }
        topic
    });
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(RESPONSE_BYTES)
        .with_isolation_level(1)
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(wanted.collect())
}

/// The partitions of a response; an error if the broker reports one for any of them.
pub(crate) fn partitions<'a>(
    brokers: &Brokers,
    leader: BrokerId,
    topics: &Topics,
    response: &'a FetchResponse,
) -> Result<Vec<(TopicPartition, &'a PartitionData)>, ReadError> {
    let call = brokers.call::<FetchRequest>(leader);
    call.check(response.error_code, || "its records".to_owned())?;
    let mut partitions = Vec::new();
    for topic in &response.responses {
        // From version 13 on a response has topic ids instead of names.
        let known = topics.iter().find(|(name, known)| {
            topic.topic.0.as_str() == name.as_str()
                || (!topic.topic_id.is_nil() && topic.topic_id == known.topic_id)
        });
        for data in &topic.partitions {
            let at = TopicPartition {
                topic: known.map_or_else(String::new, |(name, _)| name.clone()),
                partition: data.partition_index,
            };
            call.check(data.error_code, || at.to_string())?;
            partitions.push((at, data));
        }
    }
    Ok(partitions)
}

/// The error for a response that contains no record of any partition that was asked for.
pub(crate) fn no_progress(
    brokers: &Brokers,
    leader: BrokerId,
    asked_for: Option<&TopicPartition>,
) -> ReadError {
    let what = asked_for.map_or_else(String::new, TopicPartition::to_string);
    let call = brokers.call::<FetchRequest>(leader);
    call.incomplete(what, "it sends none of the records there are")
}
