//! The broker settings that the shop needs.

use std::sync::Arc;

use rdkafka::admin::ResourceSpecifier;
use rdkafka::consumer::Consumer;

use crate::cluster::{Cluster, TIMEOUT, blocking};
use crate::cluster_error::ClusterError;
use crate::topics::{ConfigDifference, differences};

/// A broker setting that the shop relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredSetting {
    /// Kafka's name of the setting.
    pub setting: &'static str,
    /// The required value.
    pub value: &'static str,
    /// The consequence of another value, for a person.
    pub otherwise: &'static str,
}

/// The replication of a single broker, which can hold one replica of a partition.
const OF_ONE_BROKER: [RequiredSetting; 3] = [
    RequiredSetting {
        setting: "offsets.topic.replication.factor",
        value: "1",
        otherwise: "with one broker, no group could ever commit",
    },
    RequiredSetting {
        setting: "transaction.state.log.replication.factor",
        value: "1",
        otherwise: "with one broker, no transactional producer could ever start",
    },
    RequiredSetting {
        setting: "transaction.state.log.min.isr",
        value: "1",
        otherwise: "with one broker, no transactional producer could ever start",
    },
];

/// The replication of three brokers, any one of which may end.
const OF_THREE_BROKERS: [RequiredSetting; 5] = [
    RequiredSetting {
        setting: "default.replication.factor",
        value: "3",
        otherwise: "a new topic is lost with one broker",
    },
    RequiredSetting {
        setting: "min.insync.replicas",
        value: "2",
        otherwise: "an acknowledged record may be on one broker only",
    },
    RequiredSetting {
        setting: "offsets.topic.replication.factor",
        value: "3",
        otherwise: "the end of one broker stops the commits of groups",
    },
    RequiredSetting {
        setting: "transaction.state.log.replication.factor",
        value: "3",
        otherwise: "the end of one broker stops transactional producers",
    },
    RequiredSetting {
        setting: "transaction.state.log.min.isr",
        value: "2",
        otherwise: "the outcome of a transaction may be on one broker only",
    },
];

/// The settings of every broker that are not Kafka's defaults.
const OF_EVERY_BROKER: [RequiredSetting; 3] = [
    RequiredSetting {
        setting: "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        value: "1000",
        otherwise: "partitions of a killed member are blocked for up to 10 s longer",
    },
    RequiredSetting {
        setting: "group.initial.rebalance.delay.ms",
        value: "0",
        otherwise: "every start of a group waits 3 s for more members",
    },
    RequiredSetting {
        setting: "auto.create.topics.enable",
        value: "false",
        otherwise: "a misspelt topic is created silently, with the wrong settings",
    },
];

/// The settings that a cluster with this number of brokers needs.
fn required(brokers: usize) -> impl Iterator<Item = RequiredSetting> {
    let replication = match brokers {
        0 | 1 => &OF_ONE_BROKER[..],
        _ => &OF_THREE_BROKERS[..],
    };
    replication.iter().chain(&OF_EVERY_BROKER).copied()
}

impl Cluster {
    /// The settings of each broker that differ from those that the shop needs, with the consequence. One of three brokers may
    /// be down.
    pub async fn broker_differences(
        &self,
    ) -> Result<Vec<(ConfigDifference, &'static str)>, ClusterError> {
        let mut found = Vec::new();
        let ids = self.broker_ids().await?;
        for id in &ids {
            let config = self.describe(ResourceSpecifier::Broker(*id)).await?;
            for required in required(ids.len()) {
                let wanted = [(required.setting, required.value)];
                let differing = differences(&wanted, &config);
                found.extend(differing.into_iter().map(|one| (one, required.otherwise)));
            }
        }
        Ok(found)
    }

    async fn broker_ids(&self) -> Result<Vec<i32>, ClusterError> {
        let client = Arc::clone(&self.metadata_client);
        let ids = blocking(move || {
            let metadata = client.fetch_metadata(None, TIMEOUT)?;
            Ok(metadata
                .brokers()
                .iter()
                .map(|broker| broker.id())
                .collect())
        });
        ids.await.map_err(|error| self.error("list brokers", error))
    }
}
