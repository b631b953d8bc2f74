//! Asks the leaders of partitions about producers with an open transaction (DescribeProducers).

use std::collections::BTreeMap;

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::describe_producers_request::{
    DescribeProducersRequest, TopicRequest,
};

use super::{OpenTransaction, TransactionStatus, time, topic_name};
use crate::error::ReadError;
use crate::protocol::brokers::{Brokers, Topics, by_leader};
use crate::snapshot::TopicPartition;

/// The open transactions of all partitions, each as hanging until its coordinator is asked.
pub(super) async fn open_transactions(
    brokers: &mut Brokers,
    topics: &Topics,
) -> Result<Vec<OpenTransaction>, ReadError> {
    let all = topics.iter().flat_map(|(name, topic)| {
        topic.partitions.iter().map(|one| TopicPartition {
            topic: name.clone(),
            partition: one.partition_index,
        })
    });
    let call = brokers.call::<MetadataRequest>(-1);
    let by_leader = by_leader(call, topics, all)?;
    let mut open = Vec::new();
    for (leader, partitions) in by_leader {
        let request = describe_producers(&partitions);
        let response = brokers.send(leader, &request).await?;
        let call = brokers.call::<DescribeProducersRequest>(leader);
        for topic in &response.topics {
            for one in &topic.partitions {
                let partition = TopicPartition {
                    topic: topic.name.0.to_string(),
                    partition: one.partition_index,
                };
                call.check(one.error_code, || partition.to_string())?;
                let producers = one.active_producers.iter();
                let producers = producers.filter(|one| one.current_txn_start_offset >= 0);
                open.extend(producers.map(|producer| OpenTransaction {
                    partition: partition.clone(),
                    producer_id: producer.producer_id.0,
                    producer_epoch: i16::try_from(producer.producer_epoch).unwrap_or(-1),
                    coordinator_epoch: producer.coordinator_epoch.max(0),
                    start_offset: producer.current_txn_start_offset,
                    last_write: time(producer.last_timestamp),
                    transactional_id: None,
                    status: TransactionStatus::Hanging,
                }));
            }
        }
    }
    open.sort_by_key(|one| (one.partition.clone(), one.start_offset));
    Ok(open)
}

fn describe_producers(partitions: &[TopicPartition]) -> DescribeProducersRequest {
    let mut by_topic = BTreeMap::<&str, Vec<i32>>::new();
    for at in partitions {
        by_topic.entry(&at.topic).or_default().push(at.partition);
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        TopicRequest::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(partitions)
    });
    DescribeProducersRequest::default().with_topics(topics.collect())
}
