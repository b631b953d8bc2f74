//! What a replay does with a dead letter. A dry run decides by the same computation.

use std::collections::BTreeMap;

use kafka_runtime::dead_letter::{self, DeadLetterHeaders, MAX_REPLAYS, replay_count};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use shared_events::{NamePrefix, Service};

use crate::cluster::Cluster;
use crate::cluster_error::ClusterError;
use crate::records::Record;
use crate::replayed_record::{ReplayedRecord, TopicLimits};

/// librdkafka's default of `batch.size`, bytes.
const MAX_BATCH_BYTES: usize = 1_000_000;

/// What a replay does with a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayDecision {
    /// Publishes the original record again.
    Replay {
        /// The topic that the record was consumed from, by its full name on the broker.
        topic: String,
        /// The group that sent the dead letter, by its full name on the broker. No other group
        /// handles the replayed record.
        group: String,
        /// How often the record was replayed before.
        previous_replays: u32,
    },
    /// Goes on without it, with the reason. It waits until a later replay publishes it, a person
    /// discards it, or the retention of its topic ends.
    Refuse(String),
}

/// The topics to which dead letters are replayed, as they are now.
#[derive(Debug, Clone)]
pub(crate) struct ReplayTargets {
    prefix: NamePrefix,
    /// By full name on the broker. Topics that do not exist are missing.
    limits: BTreeMap<String, TopicLimits>,
}

impl ReplayTargets {
    pub(crate) async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let prefix = cluster.prefix().clone();
        let consumed = Service::ALL.into_iter().flat_map(Service::consumes);
        let mut wanted: Vec<String> = consumed.map(|topic| prefix.topic(*topic)).collect();
        wanted.sort();
        wanted.dedup();
        let existing = cluster.topic_names().await?;
        let mut limits = BTreeMap::new();
        for name in wanted.into_iter().filter(|name| existing.contains(name)) {
            match cluster.topic_config(&name).await {
                Ok(config) => {
                    let of_topic = topic_limits(&name, &config)?;
                    limits.insert(name, of_topic);
                }
                Err(error) if is_unknown_topic(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { prefix, limits })
    }

    pub(crate) fn prefix(&self) -> &NamePrefix {
        &self.prefix
    }

    /// The largest record batch of several records that every topic accepts.
    pub(crate) fn batch_bytes(&self) -> usize {
        let limits = self.limits.values().map(|limits| limits.max_message_bytes);
        limits
            .min()
            .unwrap_or(MAX_BATCH_BYTES)
            .clamp(1, MAX_BATCH_BYTES)
    }

    /// Decides what the next replay does with this dead letter.
    pub(crate) fn decide(
        &self,
        record: &Record,
        headers: &Result<DeadLetterHeaders, String>,
    ) -> ReplayDecision {
        let decision = decide_by_content(&self.prefix, record, headers);
        match &decision {
            ReplayDecision::Refuse(_) => decision,
            ReplayDecision::Replay {
                topic,
                group,
                previous_replays,
            } => {
                let refusal = match self.limits.get(topic) {
                    None => Some(format!(
                        "topic {topic} does not exist: ./sandbox topics create makes it"
                    )),
                    Some(limits) => {
                        ReplayedRecord::new(record, topic, group, *previous_replays).refusal(limits)
                    }
                };
                refusal.map_or(decision, ReplayDecision::Refuse)
            }
        }
    }
}

/// Decides without the state of the cluster: whether any replay can publish the record.
pub(crate) fn decide_by_content(
    prefix: &NamePrefix,
    record: &Record,
    headers: &Result<DeadLetterHeaders, String>,
) -> ReplayDecision {
    origin(prefix, record, headers).unwrap_or_else(ReplayDecision::Refuse)
}

/// The error is the reason to refuse the record.
fn origin(
    prefix: &NamePrefix,
    record: &Record,
    headers: &Result<DeadLetterHeaders, String>,
) -> Result<ReplayDecision, String> {
    if record.headers.is_none() {
        return Err("the name of one of its headers is not UTF-8".to_owned());
    }
    let headers = headers.as_ref();
    let headers = headers.map_err(|reason| format!("is no dead letter: {reason}"))?;
    let (topic, group) = (&headers.original_topic, &headers.consumer_group);
    if dead_letter::is_left_out(record.header_pairs()) {
        return Err(format!(
            "the record is too large for a dead letter, and exists only in {topic}[{}] at offset {}",
            headers.original_partition, headers.original_offset
        ));
    }
    let of = prefix.topic_of(topic);
    let is_consumer = |service: Service| {
        prefix.group(service) == *group
            && of.is_some_and(|topic| service.consumes().contains(&topic))
    };
    if !Service::ALL.into_iter().any(is_consumer) {
        return Err(format!("group {group} does not read topic {topic}"));
    }
    match replay_count(record.header_pairs()) {
        Err(error) => Err(error.to_string()),
        Ok(count) if count >= MAX_REPLAYS => {
            Err(format!("was replayed {count} times, which is the limit"))
        }
        Ok(previous_replays) => Ok(ReplayDecision::Replay {
            topic: topic.clone(),
            group: group.clone(),
            previous_replays,
        }),
    }
}

fn topic_limits(
    name: &str,
    config: &BTreeMap<String, String>,
) -> Result<TopicLimits, ClusterError> {
    let setting = |setting: &str| {
        let value = config.get(setting).map(String::as_str);
        value.ok_or_else(|| {
            ClusterError::Invalid(format!("the broker reports no {setting} of topic {name}"))
        })
    };
    let max = setting("max.message.bytes")?;
    let invalid = |_| ClusterError::Invalid(format!("topic {name}: max.message.bytes is {max}"));
    Ok(TopicLimits {
        max_message_bytes: max.parse().map_err(invalid)?,
        keeps_compression: matches!(setting("compression.type")?, "producer" | "lz4"),
        compacted: setting("cleanup.policy")?.contains("compact"),
    })
}

fn is_unknown_topic(error: &ClusterError) -> bool {
    let unknown = RDKafkaErrorCode::UnknownTopicOrPartition;
    matches!(error, ClusterError::Failed { cause: KafkaError::AdminOp(code), .. } if *code == unknown)
}

#[cfg(test)]
pub(crate) mod tests {
    use shared_events::headers::dead_letter::{
        ATTEMPTS, CONSUMER_GROUP, ERROR_CLASS, ERROR_MESSAGE, FAILED_AT, ORIGINAL_OFFSET,
        ORIGINAL_PARTITION, ORIGINAL_TIMESTAMP, ORIGINAL_TOPIC,
    };

    use super::*;

    /// The settings of three topics with this limit.
    pub(crate) fn targets(max_message_bytes: usize) -> ReplayTargets {
        let limits = TopicLimits {
            max_message_bytes,
            keeps_compression: true,
            compacted: false,
        };
        let names = ["orders", "payments", "inventory"];
        ReplayTargets {
            prefix: NamePrefix::default(),
            limits: names.map(|name| (name.to_owned(), limits.clone())).into(),
        }
    }

    /// A dead letter of inventory-service.
    pub(crate) fn dead_letter_record(partition: i32, offset: i64, value: &[u8]) -> Record {
        let headers = [
            (ORIGINAL_TOPIC, "payments"),
            (ORIGINAL_PARTITION, "0"),
            (ORIGINAL_OFFSET, "7"),
            (ORIGINAL_TIMESTAMP, "1"),
            (CONSUMER_GROUP, "inventory-service-group"),
            (ERROR_CLASS, "domain_rule"),
            (ERROR_MESSAGE, "rejected"),
            (FAILED_AT, "2026-01-31T12:00:00.000Z"),
            (ATTEMPTS, "1"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), Some(value.into())));
        Record {
            topic: "inventory.dlq".to_owned(),
            partition,
            offset,
            timestamp_ms: Some(1),
            key: Some(b"key".to_vec()),
            headers: Some(headers.into()),
            value: Some(value.to_vec()),
        }
    }

    fn refusal(record: &Record, targets: &ReplayTargets) -> Option<String> {
        let headers = DeadLetterHeaders::from_pairs(record.header_pairs());
        match targets.decide(record, &headers.map_err(|error| error.to_string())) {
            ReplayDecision::Replay { .. } => None,
            ReplayDecision::Refuse(reason) => Some(reason),
        }
    }

    #[test]
    fn a_dead_letter_that_its_topic_cannot_take_is_refused_with_the_reason() {
        let small = dead_letter_record(0, 0, b"value");
        let large = dead_letter_record(0, 1, &[0; 3000]);
        let mut limited = targets(1_000);
        assert_eq!(refusal(&small, &limited), None);
        // Compressed it is small.
        assert_eq!(refusal(&large, &limited), None);
        for limits in limited.limits.values_mut() {
            limits.keeps_compression = false;
        }
        let reason = refusal(&large, &limited).unwrap();
        assert!(reason.contains("topic payments"), "{reason}");
        limited.limits.remove("payments");
        let reason = refusal(&small, &limited).unwrap();
        assert!(reason.contains("topic payments does not exist"), "{reason}");
    }

    #[test]
    fn a_batch_of_several_records_fits_into_every_topic() {
        assert_eq!(targets(5_000).batch_bytes(), 5_000);
        assert_eq!(targets(2_000_000).batch_bytes(), MAX_BATCH_BYTES);
        assert_eq!(targets(0).batch_bytes(), 1);
    }

    #[test]
    fn the_limits_are_read_from_the_settings_of_a_topic() {
        let config = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            topic_limits("payments", &pairs.collect())
        };
        let size = ("max.message.bytes", "1048576");
        let policy = ("cleanup.policy", "compact,delete");
        let found = config(&[size, policy, ("compression.type", "gzip")]).unwrap();
        let expected = TopicLimits {
            max_message_bytes: 1_048_576,
            keeps_compression: false,
            compacted: true,
        };
        assert_eq!(found, expected);
        assert!(config(&[size, policy]).is_err());
    }
}
