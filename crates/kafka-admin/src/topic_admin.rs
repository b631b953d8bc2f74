//! Any topic of the cluster, by its name on the broker: created, described, extended, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::{
    AdminOptions, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use shared_events::Topic;

use crate::clients::{self, BaseConsumer};
use crate::cluster::{Cluster, TIMEOUT, admin_options, blocking, resend_if_dropped};
use crate::cluster_error::ClusterError;
use crate::topics::{ConfigDifference, CreateOutcome, differences};

/// The default number of partitions of a topic that is not one of the shop's.
const DEFAULT_PARTITIONS: i32 = 3;

/// A topic as it is on the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// The name on the broker.
    pub name: String,
    /// The partitions, by number.
    pub partitions: Vec<PartitionDescription>,
    /// The settings that are not the broker's defaults, by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// The partition number, from 0.
    pub number: i32,
    /// The id of the leader; `None` while the partition has none, and can be neither read nor written.
    pub leader: Option<i32>,
    /// The ids of the brokers with a replica.
    pub replicas: Vec<i32>,
    /// The ids of the brokers whose replica is in sync.
    pub in_sync: Vec<i32>,
    /// The offset of the oldest record; `None` without a leader, and while the leader does not know the high watermark.
    pub low_watermark: Option<i64>,
    /// The offset of the next record; `None` as for the oldest.
    pub high_watermark: Option<i64>,
}

impl TopicDescription {
    /// An upper bound of the number of records: the number of offsets. Transaction markers and
    /// compacted records have an offset too. Partitions without a leader are left out.
    pub fn records_at_most(&self) -> i64 {
        let counts = self.partitions.iter();
        counts
            .filter_map(|one| Some(one.high_watermark? - one.low_watermark?))
            .sum()
    }
}

/// A topic to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicSpec {
    /// The name on the broker.
    pub name: String,
    /// The number of partitions. Default: that of `shared-events` for a topic of the shop, and 3
    /// for another.
    pub partitions: Option<i32>,
    /// Settings by Kafka's names. A topic of the shop has those of `shared-events` besides.
    pub config: BTreeMap<String, String>,
}

impl Cluster {
    /// The name on the broker of a topic that a person typed. The shop's topics may be typed
    /// without the prefix of the stack; another name is returned unchanged.
    pub fn topic_name(&self, typed: &str) -> String {
        match typed.parse::<Topic>() {
            Ok(topic) => self.prefix().topic(topic),
            Err(_) => typed.to_owned(),
        }
    }

    /// Describes a topic.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`], with the existing topics, if the topic does not exist.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicDescription, ClusterError> {
        let (client, topic) = (Arc::clone(&self.metadata_client), name.to_owned());
        let partitions = blocking(move || describe_partitions(&client, &topic)).await;
        let mut partitions =
            partitions.map_err(|error| self.error(format!("describe topic {name}"), error))?;
        if partitions.is_empty() {
            return Err(self.topic_not_found(name).await);
        }
        partitions.sort_by_key(|partition| partition.number);
        Ok(TopicDescription {
            name: name.to_owned(),
            partitions,
            config: self.config_overrides(name).await?,
        })
    }

    /// The error for a missing topic, with the topics that exist.
    pub(crate) async fn topic_not_found(&self, name: &str) -> ClusterError {
        match self.topic_names().await {
            Ok(mut names) => {
                names.sort();
                let names = match names.is_empty() {
                    true => "there is none at all: ./sandbox topics create".to_owned(),
                    false => format!("there are {}", names.join(", ")),
                };
                ClusterError::NotFound(format!("there is no topic {name}; {names}"))
            }
            Err(error) => error,
        }
    }

    /// The settings of a topic that override the broker's defaults.
    async fn config_overrides(&self, name: &str) -> Result<BTreeMap<String, String>, ClusterError> {
        let operation = format!("describe topic {name}");
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let topic = [ResourceSpecifier::Topic(name)];
        let described = resend_if_dropped(|| self.admin.describe_configs(&topic, &options)).await;
        let described = described.map_err(|error| self.error(operation.clone(), error))?;
        let resources: Result<Vec<_>, RDKafkaErrorCode> = described.into_iter().collect();
        let resources =
            resources.map_err(|code| self.error(operation, KafkaError::AdminOp(code)))?;
        let entries = resources.into_iter().flat_map(|resource| resource.entries);
        let overrides = entries.filter(|entry| matches!(entry.source, ConfigSource::DynamicTopic));
        Ok(overrides
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect())
    }

    /// Creates a topic. An existing topic is compared with the specification and not changed.
    pub async fn create_topic(&self, spec: &TopicSpec) -> Result<CreateOutcome, ClusterError> {
        let declared = self.prefix().topic_of(&spec.name).map(Topic::settings);
        let partitions = spec.partitions.or(declared.map(|one| one.partitions));
        let declared_config = declared.map_or(&[][..], |one| one.config).iter();
        let mut config: BTreeMap<&str, &str> = declared_config.copied().collect();
        let named = spec.config.iter();
        config.extend(named.map(|(name, value)| (name.as_str(), value.as_str())));

        // -1 is the broker's default, so the same call fits a cluster of three brokers.
        let replication = TopicReplication::Fixed(-1);
        let count = partitions.unwrap_or(DEFAULT_PARTITIONS);
        let mut new = NewTopic::new(&spec.name, count, replication);
        for (name, value) in &config {
            new = new.set(name, value);
        }
        let operation = format!("create topic {}", spec.name);
        let options = admin_options();
        let results = resend_if_dropped(|| self.admin.create_topics([&new], &options)).await;
        let results = results.map_err(|error| self.error(operation.clone(), error))?;
        match results.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
                let expected: Vec<_> = config.into_iter().collect();
                self.compare(&spec.name, partitions, &expected).await
            }
            Some(Err((_, code))) => Err(ClusterError::failed(operation, KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => {
                self.wait_for_leaders(&spec.name).await?;
                Ok(CreateOutcome::Created)
            }
        }
    }

    async fn compare(
        &self,
        name: &str,
        partitions: Option<i32>,
        config: &[(&str, &str)],
    ) -> Result<CreateOutcome, ClusterError> {
        let mut found = differences(config, &self.topic_config(name).await?);
        let actual = self.partitions(name).await?;
        if let Some(expected) = partitions.filter(|expected| *expected != actual) {
            found.push(ConfigDifference {
                setting: "partitions".to_owned(),
                expected: expected.to_string(),
                found: actual.to_string(),
            });
        }
        Ok(match found.is_empty() {
            true => CreateOutcome::Exists,
            false => CreateOutcome::Differs(found),
        })
    }

    /// Adds partitions to a topic until it has this number, which must be more than it has. Records
    /// stay on their partition. Most keys have another partition afterwards, see
    /// [`partition_of`](crate::partition_of). Returns once every new partition has a leader.
    pub async fn add_partitions(&self, name: &str, partitions: u32) -> Result<(), ClusterError> {
        let operation = format!("add partitions to topic {name}");
        let total = usize::try_from(partitions).unwrap_or(usize::MAX);
        let new = [NewPartitions::new(name, total)];
        let options = admin_options();
        let mut requests = 0;
        let results = resend_if_dropped(|| {
            requests += 1;
            self.admin.create_partitions(&new, &options)
        });
        let results = results.await;
        for result in results.map_err(|error| self.error(operation.clone(), error))? {
            match result {
                // A request without an answer may have added the partitions. The wait below looks.
                Err((_, RDKafkaErrorCode::InvalidPartitions)) if requests > 1 => {}
                Err((_, code)) => {
                    let cause = KafkaError::AdminOp(code);
                    return Err(ClusterError::failed(operation, cause));
                }
                Ok(_) => {}
            }
        }
        self.wait_for_partitions(name, "has too few partitions", |count| {
            u32::try_from(count).is_ok_and(|count| count >= partitions)
        })
        .await
    }

    /// Deletes a topic with its records. Returns once the metadata does not contain the topic. A
    /// topic that does not exist is ignored.
    pub async fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        self.delete_topics_by_name(&[name]).await
    }
}

/// The partitions of a topic; none if the topic does not exist.
fn describe_partitions(
    client: &BaseConsumer,
    topic: &str,
) -> KafkaResult<Vec<PartitionDescription>> {
    // The metadata of all topics, for the reason given at `partition_count` in topics.rs.
    let metadata = client.fetch_metadata(None, TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map_or(&[][..], |found| found.partitions()).iter();
    let described = partitions.map(|partition| {
        let leader = Some(partition.leader()).filter(|leader| *leader >= 0);
        let watermarks = leader.map(|_| clients::watermarks(client, topic, partition.id()));
        let watermarks = match watermarks.transpose() {
            // A new leader does not know its high watermark before as many replicas are in sync as `min.insync.replicas` asks for.
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OffsetNotAvailable)) => None,
            other => other?,
        };
        let (low_watermark, high_watermark) = watermarks.unzip();
        Ok(PartitionDescription {
            number: partition.id(),
            leader,
            replicas: partition.replicas().to_vec(),
            in_sync: partition.isr().to_vec(),
            low_watermark,
            high_watermark,
        })
    });
    described.collect()
}
