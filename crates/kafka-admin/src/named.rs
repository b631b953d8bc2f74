//! Any topic of the cluster, by its name there: made, described, grown, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::{
    AdminOptions, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use shared_events::Topic;

use crate::topics::{Created, Difference, differences};
use crate::{Cluster, ClusterError, TIMEOUT, handles};

/// Partitions of a topic of which nothing else is said.
const PARTITIONS: i32 = 3;

/// A topic as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name on the broker.
    pub name: String,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
    /// Its settings that are not the broker's defaults, by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub number: i32,
    /// The broker that leads it.
    pub leader: i32,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub in_sync: Vec<i32>,
    /// The offset of the oldest record that is still there.
    pub low_watermark: i64,
    /// The offset that the next record will get.
    pub high_watermark: i64,
}

impl Description {
    /// How many records there may be: offsets, of which markers of transactions and what was compacted away hold none.
    pub fn records_at_most(&self) -> i64 {
        let counts = self.partitions.iter();
        counts
            .map(|one| one.high_watermark - one.low_watermark)
            .sum()
    }
}

/// A topic as it is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its name on the broker.
    pub name: String,
    /// How many partitions it shall have; the shop's table decides for its own topics, and 3 for others.
    pub partitions: Option<i32>,
    /// Settings by Kafka's names, besides those of the shop's table for its own topics.
    pub config: BTreeMap<String, String>,
}

impl Cluster {
    /// The name on the broker of a topic as a person types it: the shop's own topics go without this stack's prefix, any other
    /// is named as it is.
    pub fn topic_name(&self, typed: &str) -> String {
        match typed.parse::<Topic>() {
            Ok(topic) => self.prefix().topic(topic),
            Err(_) => typed.to_owned(),
        }
    }

    /// The topic as it is; [`ClusterError::Missing`], with the list of those there are, if there is none of this name.
    pub async fn describe_topic(&self, name: &str) -> Result<Description, ClusterError> {
        let (observer, topic) = (Arc::clone(&self.observer), name.to_owned());
        let partitions = self.blocking(move || {
            // All topics and not this one: see `partitions`.
            let metadata = observer.fetch_metadata(None, TIMEOUT)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let partitions = found.map_or(&[][..], |found| found.partitions()).iter();
            let described = partitions.map(|partition| {
                let (low_watermark, high_watermark) =
                    handles::watermarks(&observer, &topic, partition.id())?;
                Ok(PartitionDescription {
                    number: partition.id(),
                    leader: partition.leader(),
                    replicas: partition.replicas().to_vec(),
                    in_sync: partition.isr().to_vec(),
                    low_watermark,
                    high_watermark,
                })
            });
            described.collect::<Result<Vec<_>, KafkaError>>()
        });
        let what = format!("describe topic {name}");
        let mut partitions = partitions
            .await
            .map_err(|error| self.error(what.clone(), error))?;
        if partitions.is_empty() {
            return Err(self.no_topic(name).await);
        }
        partitions.sort_by_key(|partition| partition.number);
        Ok(Description {
            name: name.to_owned(),
            partitions,
            config: self.own_config(name).await?,
        })
    }

    /// Says which topics there are instead.
    pub(super) async fn no_topic(&self, name: &str) -> ClusterError {
        match self.topic_names().await {
            Ok(mut names) => {
                names.sort();
                let names = match names.is_empty() {
                    true => "there is none at all: ./sandbox topics create".to_owned(),
                    false => format!("there are {}", names.join(", ")),
                };
                ClusterError::Missing(format!("there is no topic {name}; {names}"))
            }
            Err(error) => error,
        }
    }

    async fn own_config(&self, name: &str) -> Result<BTreeMap<String, String>, ClusterError> {
        let what = format!("describe topic {name}");
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let described = self
            .admin
            .describe_configs(&[ResourceSpecifier::Topic(name)], &options)
            .await
            .map_err(|error| self.error(what.clone(), error))?;
        let resources: Result<Vec<_>, RDKafkaErrorCode> = described.into_iter().collect();
        let resources = resources.map_err(|code| self.error(what, KafkaError::AdminOp(code)))?;
        let entries = resources.into_iter().flat_map(|resource| resource.entries);
        let own = entries.filter(|entry| matches!(entry.source, ConfigSource::DynamicTopic));
        Ok(own
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect())
    }

    /// Makes the topic. One that is there is compared with what is wanted, as far as that says anything, and left as it is.
    pub async fn create_topic(&self, wanted: &Wanted) -> Result<Created, ClusterError> {
        let own = self.prefix().topic_of(&wanted.name).map(Topic::settings);
        let partitions = wanted.partitions.or(own.map(|own| own.partitions));
        let table = own.map_or(&[][..], |own| own.config).iter();
        let mut config: BTreeMap<&str, &str> = table.copied().collect();
        let named = wanted.config.iter();
        config.extend(named.map(|(name, value)| (name.as_str(), value.as_str())));

        // -1: the broker's own default, so that the same call serves a cluster of three.
        let replication = TopicReplication::Fixed(-1);
        let mut new = NewTopic::new(&wanted.name, partitions.unwrap_or(PARTITIONS), replication);
        for (name, value) in &config {
            new = new.set(name, value);
        }
        let options = AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT));
        let what = format!("create topic {}", wanted.name);
        let results = self.admin.create_topics(&[new], &options).await;
        let results = results.map_err(|error| self.error(what.clone(), error))?;
        match results.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
                let expected: Vec<_> = config.into_iter().collect();
                self.compare(&wanted.name, partitions, &expected).await
            }
            Some(Err((_, code))) => Err(ClusterError::refused(what, KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => {
                self.wait_until_led(&wanted.name).await?;
                Ok(Created::Created)
            }
        }
    }

    async fn compare(
        &self,
        name: &str,
        partitions: Option<i32>,
        config: &[(&str, &str)],
    ) -> Result<Created, ClusterError> {
        let mut found = differences(config, &self.topic_config(name).await?);
        let has = self.partitions(name).await?;
        if let Some(wanted) = partitions.filter(|wanted| *wanted != has) {
            found.push(Difference {
                setting: "partitions".to_owned(),
                expected: wanted.to_string(),
                found: has.to_string(),
            });
        }
        Ok(match found.is_empty() {
            true => Created::Exists,
            false => Created::Differs(found),
        })
    }

    /// Gives the topic so many partitions, which must be more than it has. Records stay where they are; keys go elsewhere from
    /// now on: see [`super::partition_of`]. Returns when every new partition has a leader.
    pub async fn grow_topic(&self, name: &str, partitions: u32) -> Result<(), ClusterError> {
        let what = format!("grow topic {name}");
        let wanted = usize::try_from(partitions).unwrap_or(usize::MAX);
        let new = [NewPartitions::new(name, wanted)];
        let options = AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT));
        let results = self.admin.create_partitions(&new, &options).await;
        for result in results.map_err(|error| self.error(what.clone(), error))? {
            result.map_err(|(_, code)| {
                ClusterError::refused(what.clone(), KafkaError::AdminOp(code))
            })?;
        }
        self.wait_until(name, "has not grown yet", |count| {
            u32::try_from(count).is_ok_and(|count| count >= partitions)
        })
        .await
    }

    /// Deletes the topic, with everything in it, and returns when the broker does not know of it any more. One that is not there
    /// is no error.
    pub async fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        let options = AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT));
        let results = self.admin.delete_topics(&[name], &options).await;
        let what = format!("delete topic {name}");
        for result in results.map_err(|error| self.error(what.clone(), error))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((_, code)) => {
                    return Err(ClusterError::refused(what, KafkaError::AdminOp(code)));
                }
            }
        }
        self.wait_until(name, "is still there", |count| count == 0)
            .await
    }
}
