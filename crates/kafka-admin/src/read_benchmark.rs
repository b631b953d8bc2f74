//! Measures how fast the records of a topic can be read by a consumer that does nothing else. A
//! service's rate is compared with this limit.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::clients::{self, BaseConsumer};
use crate::cluster::{Cluster, blocking};
use crate::cluster_error::ClusterError;
use crate::log_reader::{STALL_TIMEOUT, is_transient};

/// For each partition, the first offset to read and the offset after the last one.
pub type OffsetRanges = BTreeMap<i32, (i64, i64)>;

impl Cluster {
    /// Reads the committed records of these ranges, with the fetch settings of a service's member.
    /// Returns the number of records, and the time from the first record to the last.
    ///
    /// # Errors
    /// Also if no record arrives for 10 s before the end of the ranges.
    pub async fn benchmark_read(
        &self,
        topic: &str,
        ranges: &OffsetRanges,
    ) -> Result<(u64, Duration), ClusterError> {
        let settings = self.settings().clone();
        let (name, ranges) = (topic.to_owned(), ranges.clone());
        let read = blocking(move || {
            let consumer = clients::read_benchmark(&settings)?;
            read(&consumer, &name, ranges)
        });
        read.await
            .map_err(|error| self.error(format!("read {topic}"), error))
    }
}

fn read(
    consumer: &BaseConsumer,
    topic: &str,
    mut unread: OffsetRanges,
) -> KafkaResult<(u64, Duration)> {
    unread.retain(|_, (first, end)| first < end);
    let mut assignment = TopicPartitionList::new();
    for (partition, (first, _)) in &unread {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*first))?;
    }
    consumer.assign(&assignment)?;
    let (mut count, mut first, mut last) = (0, None, Instant::now());
    while !unread.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last = Instant::now();
                first.get_or_insert(last);
                let (partition, next) = (message.partition(), message.offset() + 1);
                if let Some((_, end)) = unread.get(&partition) {
                    count += u64::from(next <= *end);
                    if next >= *end {
                        unread.remove(&partition);
                    }
                }
            }
            Some(Err(error)) if is_transient(&error) => {}
            Some(Err(error)) => return Err(error),
            None if last.elapsed() > STALL_TIMEOUT => {
                let code = RDKafkaErrorCode::OperationTimedOut;
                return Err(KafkaError::MessageConsumption(code));
            }
            None => {}
        }
    }
    Ok((count, first.map_or(Duration::ZERO, |first| last - first)))
}
