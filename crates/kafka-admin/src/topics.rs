//! The topics of the shop: created as `shared-events` declares them, compared with that, deleted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use shared_events::Topic;
use tokio::time::{Instant, sleep};

use crate::clients::BaseConsumer;
use crate::cluster::{Cluster, TIMEOUT, admin_options, blocking, resend_if_dropped};
use crate::cluster_error::ClusterError;

/// How long the broker may take until a created or deleted topic is visible in its metadata.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);

/// The outcome of creating a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The topic was created.
    Created,
    /// The topic existed with the wanted settings.
    Exists,
    /// The topic existed with other settings. It was not changed.
    Differs(Vec<ConfigDifference>),
}

/// A setting that differs from the expected value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigDifference {
    /// Kafka's name of the setting, or `partitions`.
    pub setting: String,
    /// The expected value.
    pub expected: String,
    /// The value on the cluster; `not set` if it has none.
    pub found: String,
}

impl fmt::Display for ConfigDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            expected,
            found,
        } = self;
        write!(f, "{setting} is {found}, expected {expected}")
    }
}

impl Cluster {
    /// Creates the missing topics with the settings of `shared-events`. `partitions` overrides the
    /// number of partitions. Existing topics are not changed.
    ///
    /// Returns the outcome of each topic, in the given order, once every partition of a created
    /// topic has a leader.
    pub async fn create_topics(
        &self,
        topics: &[Topic],
        partitions: Option<i32>,
    ) -> Result<Vec<(Topic, CreateOutcome)>, ClusterError> {
        let names: Vec<String> = topics.iter().map(|t| self.prefix().topic(*t)).collect();
        let new_topics: Vec<NewTopic<'_>> = topics
            .iter()
            .zip(&names)
            .map(|(topic, name)| new_topic(*topic, name, partitions))
            .collect();
        let options = admin_options();
        let results = resend_if_dropped(|| self.admin.create_topics(&new_topics, &options)).await;
        let results = results.map_err(|error| self.error("create topics", error))?;
        let mut outcomes = Vec::new();
        for ((topic, name), result) in topics.iter().zip(&names).zip(results) {
            let outcome = self.create_outcome(*topic, result).await?;
            if outcome == CreateOutcome::Created {
                self.wait_for_leaders(name).await?;
            }
            outcomes.push((*topic, outcome));
        }
        Ok(outcomes)
    }

    async fn create_outcome(
        &self,
        topic: Topic,
        result: TopicResult,
    ) -> Result<CreateOutcome, ClusterError> {
        match result {
            Ok(_) => Ok(CreateOutcome::Created),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                let differences = self.topic_differences(topic).await?;
                Ok(match differences.as_slice() {
                    [] => CreateOutcome::Exists,
                    _ => CreateOutcome::Differs(differences),
                })
            }
            Err((name, code)) => {
                let operation = format!("create topic {name}");
                Err(ClusterError::failed(operation, KafkaError::AdminOp(code)))
            }
        }
    }

    /// The settings of a topic that differ from `shared-events`.
    ///
    /// # Errors
    /// Also if the topic does not exist.
    pub async fn topic_differences(
        &self,
        topic: Topic,
    ) -> Result<Vec<ConfigDifference>, ClusterError> {
        let name = self.prefix().topic(topic);
        let settings = topic.settings();
        // Of three brokers one may be down: a partition that waits for its next leader exists, too.
        let found = self.count_partitions(&name, false).await?;
        if found == 0 {
            let code = RDKafkaErrorCode::UnknownTopicOrPartition;
            let operation = format!("find topic {name}");
            return Err(ClusterError::failed(operation, KafkaError::AdminOp(code)));
        }
        let config = self.topic_config(&name).await?;
        let mut differences = differences(settings.config, &config);
        if found != settings.partitions {
            differences.push(ConfigDifference {
                setting: "partitions".to_owned(),
                expected: settings.partitions.to_string(),
                found: found.to_string(),
            });
        }
        Ok(differences)
    }

    /// The effective settings of a topic, defaults included, by Kafka's names.
    pub async fn topic_config(&self, name: &str) -> Result<BTreeMap<String, String>, ClusterError> {
        self.describe(ResourceSpecifier::Topic(name)).await
    }

    pub(crate) async fn describe(
        &self,
        resource: ResourceSpecifier<'_>,
    ) -> Result<BTreeMap<String, String>, ClusterError> {
        let operation = match resource {
            ResourceSpecifier::Topic(name) => format!("describe topic {name}"),
            ResourceSpecifier::Group(name) => format!("describe group {name}"),
            ResourceSpecifier::Broker(id) => format!("describe broker {id}"),
        };
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let wanted = [resource];
        let described = resend_if_dropped(|| self.admin.describe_configs(&wanted, &options)).await;
        let described = described.map_err(|error| self.error(operation.as_str(), error))?;
        let resources: Result<Vec<_>, RDKafkaErrorCode> = described.into_iter().collect();
        let resources =
            resources.map_err(|code| ClusterError::failed(operation, KafkaError::AdminOp(code)))?;
        let entries = resources.into_iter().flat_map(|resource| resource.entries);
        Ok(entries
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect())
    }

    /// The number of partitions of a topic. 0 if the topic does not exist, or while a partition has
    /// no leader.
    pub async fn partitions(&self, name: &str) -> Result<i32, ClusterError> {
        self.count_partitions(name, true).await
    }

    async fn count_partitions(&self, name: &str, need_leaders: bool) -> Result<i32, ClusterError> {
        let client = Arc::clone(&self.metadata_client);
        let topic = name.to_owned();
        let count = blocking(move || partition_count(&client, &topic, need_leaders)).await;
        count.map_err(|error| self.error(format!("ask for the partitions of {name}"), error))
    }

    /// The names of all topics of the cluster, except Kafka's internal topics.
    pub async fn topic_names(&self) -> Result<Vec<String>, ClusterError> {
        let client = Arc::clone(&self.metadata_client);
        let names = blocking(move || {
            let metadata = client.fetch_metadata(None, TIMEOUT)?;
            let names = metadata
                .topics()
                .iter()
                .map(|topic| topic.name().to_owned());
            Ok(names.filter(|name| !name.starts_with("__")).collect())
        });
        names
            .await
            .map_err(|error| self.error("list topics", error))
    }

    /// Deletes topics with their records. Returns once the metadata contains none of them. Topics
    /// that do not exist are ignored.
    pub async fn delete_topics(&self, topics: &[Topic]) -> Result<(), ClusterError> {
        let names: Vec<String> = topics.iter().map(|t| self.prefix().topic(*t)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.delete_topics_by_name(&names).await
    }

    pub(crate) async fn delete_topics_by_name(&self, names: &[&str]) -> Result<(), ClusterError> {
        let options = admin_options();
        let results = resend_if_dropped(|| self.admin.delete_topics(names, &options)).await;
        for result in results.map_err(|error| self.error("delete topics", error))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((name, code)) => {
                    let operation = format!("delete topic {name}");
                    return Err(ClusterError::failed(operation, KafkaError::AdminOp(code)));
                }
            }
        }
        for name in names {
            self.wait_for_partitions(name, "still exists", |count| count == 0)
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn wait_for_leaders(&self, name: &str) -> Result<(), ClusterError> {
        self.wait_for_partitions(name, "has no leader", |count| count > 0)
            .await
    }

    /// Waits until the number of partitions in the metadata satisfies `done`.
    pub(crate) async fn wait_for_partitions(
        &self,
        name: &str,
        problem: &str,
        done: impl Fn(i32) -> bool,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + VISIBLE_WITHIN;
        while !done(self.partitions(name).await?) {
            if Instant::now() > deadline {
                let seconds = VISIBLE_WITHIN.as_secs();
                return Err(ClusterError::TimedOut(format!(
                    "topic {name} {problem} after {seconds} s"
                )));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn new_topic<'a>(topic: Topic, name: &'a str, partitions: Option<i32>) -> NewTopic<'a> {
    let settings = topic.settings();
    let partitions = partitions.unwrap_or(settings.partitions);
    // -1 is the broker's default, so the same settings fit a cluster of three brokers.
    let new = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
    settings
        .config
        .iter()
        .fold(new, |new, (setting, value)| new.set(setting, value))
}

/// See [`Cluster::partitions`].
fn partition_count(client: &BaseConsumer, topic: &str, need_leaders: bool) -> KafkaResult<i32> {
    // The metadata of all topics: after a request for one missing topic, librdkafka treats the
    // topic as missing for a while.
    let metadata = client.fetch_metadata(None, TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map_or(&[][..], |found| found.partitions());
    let led = partitions.iter().all(|partition| partition.leader() >= 0);
    Ok(if led || !need_leaders {
        i32::try_from(partitions.len()).unwrap_or(i32::MAX)
    } else {
        0
    })
}

/// The settings whose value differs from the expected one.
pub(crate) fn differences(
    expected: &[(&str, &str)],
    found: &BTreeMap<String, String>,
) -> Vec<ConfigDifference> {
    let differing = expected.iter().filter_map(|(setting, expected)| {
        let found = found.get(*setting).map_or("not set", String::as_str);
        (found != *expected).then(|| ConfigDifference {
            setting: (*setting).to_owned(),
            expected: (*expected).to_owned(),
            found: found.to_owned(),
        })
    });
    differing.collect()
}
