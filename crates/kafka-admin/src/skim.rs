//! How fast the records of a topic can be read, by a consumer that does nothing with them: the limit that a service's rate is
//! compared with.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::{Cluster, ClusterError, handles};

/// How long a topic may bring nothing new before reading it is given up.
const SILENCE: Duration = Duration::from_secs(10);

/// Where reading begins and ends, by partition: from the first offset to the one before the last.
pub type Ranges = BTreeMap<i32, (i64, i64)>;

impl Cluster {
    /// Reads these records of a topic, committed ones only, with the defaults of librdkafka but for what the services' members
    /// change of fetching. Says how many there were, and how long it took from the first to the last. Joins no group.
    pub async fn skim(
        &self,
        topic: &str,
        ranges: &Ranges,
    ) -> Result<(u64, Duration), ClusterError> {
        let (settings, name, ranges) = (self.settings.clone(), topic.to_owned(), ranges.clone());
        let read = self.blocking(move || {
            let consumer = handles::skimmer(&settings)?;
            read(&consumer, &name, ranges)
        });
        read.await
            .map_err(|error| self.error(format!("read {topic}"), error))
    }
}

fn read(consumer: &BaseConsumer, topic: &str, ranges: Ranges) -> KafkaResult<(u64, Duration)> {
    let mut assignment = TopicPartitionList::new();
    let mut left = ranges;
    left.retain(|_, (first, end)| first < end);
    for (partition, (first, _)) in &left {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*first))?;
    }
    consumer.assign(&assignment)?;
    let (mut count, mut first, mut last) = (0, None, Instant::now());
    while !left.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last = Instant::now();
                first.get_or_insert(last);
                let (partition, next) = (message.partition(), message.offset() + 1);
                if let Some((_, end)) = left.get(&partition) {
                    count += u64::from(next <= *end);
                    if next >= *end {
                        left.remove(&partition);
                    }
                }
            }
            Some(Err(error)) if super::records::is_passing(&error) => {}
            Some(Err(error)) => return Err(error),
            None if last.elapsed() > SILENCE => {
                let code = RDKafkaErrorCode::OperationTimedOut;
                return Err(KafkaError::MessageConsumption(code));
            }
            None => {}
        }
    }
    Ok((count, first.map_or(Duration::ZERO, |first| last - first)))
}
