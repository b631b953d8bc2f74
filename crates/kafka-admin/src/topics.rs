//! Topics: made by the table of `shared-events`, compared with it, deleted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use shared_events::Topic;
use tokio::time::{Instant, sleep};

use crate::{Cluster, ClusterError, TIMEOUT};

/// How long the broker may take to tell everybody of a topic made or deleted.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

/// What became of a topic that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It was not there, and is now.
    Created,
    /// It was there, as the table says.
    Exists,
    /// It was there, and is left as it is; but it is not as the table says.
    Differs(Vec<Difference>),
}

/// A setting that is not what the shop expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Kafka's name of the setting.
    pub setting: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for Difference {
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
    /// Makes the topics that are missing, by the table of `shared-events`, and says of each what became of it, in the order
    /// given. Topics that are there stay untouched. Returns when every topic made has a leader for each partition. `partitions`
    /// overrides the table's number for new topics.
    pub async fn create_topics(
        &self,
        topics: &[Topic],
        partitions: Option<i32>,
    ) -> Result<Vec<(Topic, Created)>, ClusterError> {
        let names: Vec<String> = topics.iter().map(|t| self.prefix().topic(*t)).collect();
        let wanted: Vec<NewTopic<'_>> = topics
            .iter()
            .zip(&names)
            .map(|(topic, name)| new_topic(*topic, name, partitions))
            .collect();
        // Without the second, an absent broker is waited for 60 s.
        let options = AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT));
        let created = self.admin.create_topics(&wanted, &options).await;
        let created = created.map_err(|error| self.error("create topics", error))?;
        let mut outcomes = Vec::new();
        for ((topic, name), result) in topics.iter().zip(&names).zip(created) {
            let outcome = self.outcome(*topic, result).await?;
            if outcome == Created::Created {
                self.wait_until_led(name).await?;
            }
            outcomes.push((*topic, outcome));
        }
        Ok(outcomes)
    }

    async fn outcome(&self, topic: Topic, result: TopicResult) -> Result<Created, ClusterError> {
        match result {
            Ok(_) => Ok(Created::Created),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                let differences = self.topic_differences(topic).await?;
                Ok(match differences.as_slice() {
                    [] => Created::Exists,
                    _ => Created::Differs(differences),
                })
            }
            Err((name, code)) => {
                let what = format!("create topic {name}");
                Err(ClusterError::refused(what, KafkaError::AdminOp(code)))
            }
        }
    }

    /// Where a topic is not as the table says; empty if it is. A topic that is not there is an error.
    pub async fn topic_differences(&self, topic: Topic) -> Result<Vec<Difference>, ClusterError> {
        let name = self.prefix().topic(topic);
        let settings = topic.settings();
        let found = self.partitions(&name).await?;
        if found == 0 {
            let code = RDKafkaErrorCode::UnknownTopicOrPartition;
            let what = format!("find topic {name}");
            return Err(ClusterError::refused(what, KafkaError::AdminOp(code)));
        }
        let config = self.topic_config(&name).await?;
        let mut differences = differences(settings.config, &config);
        if found != settings.partitions {
            differences.push(Difference {
                setting: "partitions".to_owned(),
                expected: settings.partitions.to_string(),
                found: found.to_string(),
            });
        }
        Ok(differences)
    }

    /// A topic's settings as they are in force, by Kafka's names.
    pub async fn topic_config(&self, name: &str) -> Result<BTreeMap<String, String>, ClusterError> {
        self.describe(ResourceSpecifier::Topic(name)).await
    }

    pub(super) async fn describe(
        &self,
        resource: ResourceSpecifier<'_>,
    ) -> Result<BTreeMap<String, String>, ClusterError> {
        let what = match resource {
            ResourceSpecifier::Topic(name) => format!("describe topic {name}"),
            ResourceSpecifier::Group(name) => format!("describe group {name}"),
            ResourceSpecifier::Broker(id) => format!("describe broker {id}"),
        };
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let described = self.admin.describe_configs(&[resource], &options).await;
        let described = described.map_err(|error| self.error(what.as_str(), error))?;
        let resources: Result<Vec<_>, RDKafkaErrorCode> = described.into_iter().collect();
        let resources = resources
            .map_err(|code| ClusterError::refused(what.as_str(), KafkaError::AdminOp(code)))?;
        let entries = resources.into_iter().flat_map(|resource| resource.entries);
        Ok(entries
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect())
    }

    /// How many partitions a topic has; 0 if there is no such topic.
    pub async fn partitions(&self, name: &str) -> Result<i32, ClusterError> {
        let observer = Arc::clone(&self.observer);
        let topic = name.to_owned();
        let count = self.blocking(move || partition_count(&observer, &topic));
        let count = count.await;
        count.map_err(|error| self.error(format!("ask for the partitions of {name}"), error))
    }

    /// The names of all topics of the cluster, but for Kafka's own.
    pub async fn topic_names(&self) -> Result<Vec<String>, ClusterError> {
        let observer = Arc::clone(&self.observer);
        let names = self.blocking(move || {
            let metadata = observer.fetch_metadata(None, TIMEOUT)?;
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

    /// Deletes topics, with everything in them, and returns when the broker knows of none any more. One that is not there is no
    /// error.
    pub async fn delete_topics(&self, topics: &[Topic]) -> Result<(), ClusterError> {
        let names: Vec<String> = topics.iter().map(|t| self.prefix().topic(*t)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let deleted = self.admin.delete_topics(&names, &options).await;
        for result in deleted.map_err(|error| self.error("delete topics", error))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((name, code)) => {
                    let what = format!("delete topic {name}");
                    return Err(ClusterError::refused(what, KafkaError::AdminOp(code)));
                }
            }
        }
        for name in names {
            self.wait_until(name, "is still there", |count| count == 0)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn wait_until_led(&self, name: &str) -> Result<(), ClusterError> {
        self.wait_until(name, "has no leader yet", |count| count > 0)
            .await
    }

    pub(super) async fn wait_until(
        &self,
        name: &str,
        otherwise: &str,
        done: impl Fn(i32) -> bool,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + KNOWN_WITHIN;
        while !done(self.partitions(name).await?) {
            if Instant::now() > deadline {
                let seconds = KNOWN_WITHIN.as_secs();
                return Err(ClusterError::TooLate(format!(
                    "topic {name} {otherwise} after {seconds} s"
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
    // -1: the broker's own default, so that the same table serves a cluster of three.
    let new = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
    settings
        .config
        .iter()
        .fold(new, |new, (setting, value)| new.set(setting, value))
}

/// Zero too while a partition has no leader: until then nobody can write to it.
fn partition_count(observer: &BaseConsumer, topic: &str) -> KafkaResult<i32> {
    // All topics and not this one: asking for one topic makes librdkafka refuse to know it for a while if it is not there.
    let metadata = observer.fetch_metadata(None, TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map_or(&[][..], |found| found.partitions());
    let led = partitions.iter().all(|partition| partition.leader() >= 0);
    Ok(if led {
        i32::try_from(partitions.len()).unwrap_or(i32::MAX)
    } else {
        0
    })
}

/// The settings that are not as expected. One that the cluster does not have is "not set".
pub(super) fn differences(
    expected: &[(&str, &str)],
    found: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let differing = expected.iter().filter_map(|(setting, expected)| {
        let found = found.get(*setting).map_or("not set", String::as_str);
        (found != *expected).then(|| Difference {
            setting: (*setting).to_owned(),
            expected: (*expected).to_owned(),
            found: found.to_owned(),
        })
    });
    differing.collect()
}
