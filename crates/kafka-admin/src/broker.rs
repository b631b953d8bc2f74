//! Whether the broker is set up as the shop needs it.

use std::sync::Arc;

use rdkafka::admin::ResourceSpecifier;
use rdkafka::consumer::Consumer;

use crate::topics::{Difference, differences};
use crate::{Cluster, ClusterError, TIMEOUT};

/// A broker setting that the shop relies on, and what happens otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// Kafka's name of the setting.
    pub setting: &'static str,
    /// What it should be.
    pub value: &'static str,
    /// What happens otherwise, for a person.
    pub otherwise: &'static str,
}

/// What a broker for one machine needs, beyond Kafka's own defaults.
pub const EXPECTED: &[Expectation] = &[
    Expectation {
        setting: "offsets.topic.replication.factor",
        value: "1",
        otherwise: "with one broker, no group could ever commit",
    },
    Expectation {
        setting: "transaction.state.log.replication.factor",
        value: "1",
        otherwise: "with one broker, no transactional producer could ever start",
    },
    Expectation {
        setting: "transaction.state.log.min.isr",
        value: "1",
        otherwise: "with one broker, no transactional producer could ever start",
    },
    Expectation {
        setting: "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        value: "1000",
        otherwise: "partitions of a killed member stand still for up to 10 s longer",
    },
    Expectation {
        setting: "group.initial.rebalance.delay.ms",
        value: "0",
        otherwise: "every start of a group waits 3 s for members that do not come",
    },
    Expectation {
        setting: "auto.create.topics.enable",
        value: "false",
        otherwise: "a misspelt topic is made silently, with the wrong settings",
    },
];

impl Cluster {
    /// What is not as [`EXPECTED`], each with what happens because of it; of every broker in the cluster.
    pub async fn broker_differences(
        &self,
    ) -> Result<Vec<(Difference, &'static str)>, ClusterError> {
        let mut found = Vec::new();
        for id in self.broker_ids().await? {
            let config = self.describe(ResourceSpecifier::Broker(id)).await?;
            for expectation in EXPECTED {
                let wanted = [(expectation.setting, expectation.value)];
                let differing = differences(&wanted, &config);
                found.extend(
                    differing
                        .into_iter()
                        .map(|one| (one, expectation.otherwise)),
                );
            }
        }
        Ok(found)
    }

    async fn broker_ids(&self) -> Result<Vec<i32>, ClusterError> {
        let observer = Arc::clone(&self.observer);
        let ids = self.blocking(move || {
            let metadata = observer.fetch_metadata(None, TIMEOUT)?;
            Ok(metadata
                .brokers()
                .iter()
                .map(|broker| broker.id())
                .collect())
        });
        ids.await.map_err(|error| self.error("list brokers", error))
    }
}
