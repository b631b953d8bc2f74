//! Topics of a test's own.

use kafka_admin::records::{Query, Record};
use kafka_admin::{Cluster, ClusterError};
use kafka_runtime::KafkaSettings;
use shared_events::Topic;
use test_stack::{eventually, shared};

use crate::support::{DEADLINE, Instance, settings, start};

/// Topics that no other test shares.
pub struct Topics {
    pub bootstrap: String,
    pub prefix: String,
    pub cluster: Cluster,
}

pub async fn topics(test: &str) -> Topics {
    let stack = shared().await;
    let prefix = stack.unique_prefix(test);
    let kafka = KafkaSettings {
        bootstrap_servers: stack.bootstrap().to_owned(),
        name_prefix: prefix.parse().unwrap(),
        slot: None,
    };
    Topics {
        bootstrap: stack.bootstrap().to_owned(),
        prefix,
        cluster: Cluster::new(&kafka).unwrap(),
    }
}

impl Topics {
    pub async fn create(&self) {
        self.cluster
            .create_topics(&Topic::ALL, Some(1))
            .await
            .unwrap();
    }

    pub async fn service(&self, url: &str) -> Instance {
        start(settings(
            url,
            &self.bootstrap,
            &["--name-prefix", &self.prefix],
        ))
        .await
    }

    pub async fn records(&self, topic: Topic) -> Result<Vec<Record>, ClusterError> {
        self.cluster
            .read(&format!("{}{topic}", self.prefix), &Query::default())
            .await
    }

    /// Waits for the records. A topic that was just created has no leader yet, which is an error to
    /// wait out.
    pub async fn wait_for_records(&self, topic: Topic, wanted: usize) -> Vec<Record> {
        eventually(
            DEADLINE,
            &format!("{wanted} records in {topic}"),
            async || match self.records(topic).await {
                Ok(records) if records.len() >= wanted => Ok(records),
                Ok(records) => Err(format!("{} records", records.len())),
                Err(error) => Err(error.to_string()),
            },
        )
        .await
    }
}
