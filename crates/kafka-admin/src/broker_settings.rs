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

/// The settings of a single broker that are not Kafka's defaults.
pub const REQUIRED: &[RequiredSetting] = &[
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

impl Cluster {
    /// The settings of each broker that differ from [`REQUIRED`], with the consequence.
    pub async fn broker_differences(
        &self,
    ) -> Result<Vec<(ConfigDifference, &'static str)>, ClusterError> {
        let mut found = Vec::new();
        for id in self.broker_ids().await? {
            let config = self.describe(ResourceSpecifier::Broker(id)).await?;
            for required in REQUIRED {
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
