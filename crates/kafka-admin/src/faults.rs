//! What a fault on purpose does to a cluster: a transaction that stays open, a member that does not
//! stay in its group, offsets that are set, a topic whose settings change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AlterConfig, ResourceSpecifier};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::clients::{self, FutureProducer};
use crate::cluster::{Cluster, TIMEOUT, admin_options, blocking, resend_if_dropped};
use crate::cluster_error::ClusterError;
use crate::offsets::TopicPartition;

/// How long one poll of a member waits.
const POLL: Duration = Duration::from_millis(100);

/// A transaction that stays open until [`Cluster::abort_transaction`] ends it, or its time-out.
pub struct HeldTransaction {
    _producer: FutureProducer,
}

impl Cluster {
    /// Publishes one record in a transaction and leaves the transaction open. `read_committed`
    /// consumers cannot read past the record. The broker aborts the transaction after `timeout`, at
    /// most 15 minutes (`transaction.max.timeout.ms`).
    pub async fn hold_transaction(
        &self,
        transactional_id: &str,
        topic: &str,
        timeout: Duration,
    ) -> Result<HeldTransaction, ClusterError> {
        let producer = self.fence(transactional_id, timeout).await?;
        let failed = |error| self.error("open a transaction", error);
        producer.begin_transaction().map_err(failed)?;
        let record = FutureRecord::to(topic)
            .partition(0)
            .key("open")
            .payload("{}");
        let delivery = producer.send_result::<str, str>(record);
        let delivery = delivery.map_err(|(error, _)| failed(error))?;
        let outcome = delivery.await.map_err(|_| failed(KafkaError::Canceled))?;
        outcome.map_err(|(error, _)| failed(error))?;
        Ok(HeldTransaction {
            _producer: producer,
        })
    }

    /// Aborts the open transaction of this transactional id, whoever opened it, and fences its
    /// producer. No open transaction is no error.
    pub async fn abort_transaction(&self, transactional_id: &str) -> Result<(), ClusterError> {
        self.fence(transactional_id, TIMEOUT).await.map(drop)
    }

    async fn fence(
        &self,
        transactional_id: &str,
        timeout: Duration,
    ) -> Result<FutureProducer, ClusterError> {
        let producer = clients::held_transaction(self.settings(), transactional_id, timeout);
        let producer = producer.map_err(ClusterError::no_client)?;
        let fencing = producer.clone();
        blocking(move || fencing.init_transactions(TIMEOUT))
            .await
            .map_err(|error| self.error("begin a transaction", error))?;
        Ok(producer)
    }

    /// Joins a group, stays for this time without reading its partitions, and leaves. Both cause a
    /// rebalance.
    pub async fn join_and_leave(
        &self,
        group: &str,
        topic: &str,
        stay: Duration,
    ) -> Result<(), ClusterError> {
        let client = clients::member(self.settings(), group).map_err(ClusterError::no_client)?;
        let topic = topic.to_owned();
        let joined = blocking(move || {
            client.subscribe(&[&topic])?;
            let end = Instant::now() + stay;
            while Instant::now() < end {
                // The member commits nothing, so the records that it gets are read again by the
                // members that own the partitions afterwards.
                if let Some(Err(error)) = client.poll(POLL) {
                    return Err(error);
                }
            }
            client.unsubscribe();
            Ok(())
        });
        let joined = joined.await;
        joined.map_err(|error| self.error(format!("join {group}"), error))
    }

    /// Sets the committed offsets of a group without members.
    ///
    /// # Errors
    /// Also if the group has members: the broker then refuses a commit of a client that is none.
    pub async fn commit_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<(), ClusterError> {
        let client = self.offset_client(group)?;
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .map_err(|error| self.error(format!("commit offsets of {group}"), error))?;
        }
        let done = blocking(move || client.commit(&list, CommitMode::Sync)).await;
        done.map_err(|error| self.error(format!("commit offsets of {group}"), error))
    }

    /// Replaces the settings of a topic that override the broker's defaults, by Kafka's names. A
    /// setting that is not given goes back to the broker's default.
    pub async fn set_topic_config(
        &self,
        name: &str,
        config: &BTreeMap<String, String>,
    ) -> Result<(), ClusterError> {
        let operation = format!("change the settings of topic {name}");
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (setting, value) in config {
            change = change.set(setting, value);
        }
        let options = admin_options();
        let results = resend_if_dropped(|| self.admin.alter_configs([&change], &options)).await;
        for result in results.map_err(|error| self.error(operation.clone(), error))? {
            result.map_err(|(_, code)| {
                ClusterError::failed(operation.clone(), KafkaError::AdminOp(code))
            })?;
        }
        Ok(())
    }
}
