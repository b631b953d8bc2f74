//! The connection to a cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_runtime::KafkaSettings;
use rdkafka::admin::AdminOptions;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use shared_events::NamePrefix;
use tokio::time::{Instant, sleep};

use crate::clients::{self, AdminClient, BaseConsumer};
use crate::cluster_error::ClusterError;

/// The time limit of one request to the broker.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// A Kafka cluster. Clones share the connections.
#[derive(Clone)]
pub struct Cluster {
    settings: Arc<KafkaSettings>,
    pub(crate) admin: Arc<AdminClient>,
    pub(crate) metadata_client: Arc<BaseConsumer>,
    offset_clients: Arc<Mutex<HashMap<String, Arc<BaseConsumer>>>>,
}

impl Cluster {
    /// The cluster with these settings. The first operation connects.
    ///
    /// # Errors
    /// A setting is invalid for librdkafka.
    pub fn new(settings: &KafkaSettings) -> Result<Self, ClusterError> {
        let admin = clients::admin(settings).map_err(ClusterError::no_client)?;
        let metadata = clients::metadata(settings, None).map_err(ClusterError::no_client)?;
        Ok(Self {
            admin: Arc::new(admin),
            metadata_client: Arc::new(metadata),
            offset_clients: Arc::default(),
            settings: Arc::new(settings.clone()),
        })
    }

    /// The prefix of the stack's names on the broker.
    pub fn prefix(&self) -> &NamePrefix {
        &self.settings.name_prefix
    }

    /// The settings that the cluster was created with.
    pub fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// Checks that a broker answers.
    ///
    /// # Errors
    /// [`ClusterError::Unreachable`], if no broker answers `within` this time.
    pub async fn ping(&self, within: Duration) -> Result<(), ClusterError> {
        let client = Arc::clone(&self.metadata_client);
        let answer = blocking(move || client.fetch_metadata(None, within).map(drop)).await;
        answer.map_err(|_| self.unreachable())
    }

    /// The client that asks for the committed offsets of a group. It never subscribes, so it is not
    /// a member.
    pub(crate) fn offset_client(&self, group: &str) -> Result<Arc<BaseConsumer>, ClusterError> {
        let mut clients = self
            .offset_clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(group) {
            return Ok(Arc::clone(client));
        }
        let client = clients::metadata(&self.settings, Some(group));
        let client = Arc::new(client.map_err(ClusterError::no_client)?);
        clients.insert(group.to_owned(), Arc::clone(&client));
        Ok(client)
    }

    /// The error of an operation: [`ClusterError::Unreachable`] if the connection is the reason.
    pub(crate) fn error(&self, operation: impl Into<String>, cause: KafkaError) -> ClusterError {
        use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, Resolve};
        match code_of(&cause) {
            Some(BrokerTransportFailure | AllBrokersDown | Resolve) => self.unreachable(),
            _ => ClusterError::failed(operation, cause),
        }
    }

    fn unreachable(&self) -> ClusterError {
        ClusterError::Unreachable {
            address: self.settings.bootstrap_servers.clone(),
        }
    }
}

/// The time limits of an admin operation. Without a request time-out an absent broker costs 60 s.
pub(crate) fn admin_options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(TIMEOUT))
        .request_timeout(Some(TIMEOUT))
}

/// Sends an admin request again for as long as librdkafka drops it unanswered, within [`TIMEOUT`]. librdkafka drops the requests that
/// wait for a connection when the metadata replace its broker, as after the first answer of a bootstrap address. The request may have
/// taken effect, so it must be idempotent.
pub(crate) async fn resend_if_dropped<T, F: Future<Output = KafkaResult<T>>>(
    mut request: impl FnMut() -> F,
) -> KafkaResult<T> {
    let end = Instant::now() + TIMEOUT;
    loop {
        let answer = request().await;
        let dropped = answer
            .as_ref()
            .is_err_and(|error| code_of(error) == Some(RDKafkaErrorCode::DestroyBroker));
        if !dropped || Instant::now() > end {
            return answer;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The code of an error. rdkafka's own function has none for the answer to an admin request.
fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Runs a blocking call of librdkafka on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    match tokio::task::spawn_blocking(call).await {
        Ok(answer) => answer,
        Err(_) => Err(KafkaError::Canceled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_request_is_sent_again_and_no_other() {
        let admin = |code| Err(KafkaError::AdminOp(code));
        let mut answers = vec![
            Ok(3),
            admin(RDKafkaErrorCode::InvalidPartitions),
            admin(RDKafkaErrorCode::DestroyBroker),
        ];
        let answer = resend_if_dropped(|| std::future::ready(answers.pop().unwrap())).await;
        assert_eq!(answer, admin(RDKafkaErrorCode::InvalidPartitions));
        assert_eq!(answers, [Ok(3)]);
    }
}
