//! What a tool does to a Kafka cluster: topics, records, groups, offsets, bulk load, replay of dead letters.
//!
//! Nothing here joins a group: a tool that joined one would take partitions away from the service it looks at. Reading needs
//! no group, and committed offsets are asked for by a handle that never subscribes.
//!
//! Read in this order: [`topics`] (the shop's: make, compare, delete), [`named`] (the same of any topic, and growing), [`groups`]
//! (who is a member of what), [`lag`] (where things end), [`records`] (what is in the topics), [`tail`] (the same of one, then what
//! comes), [`follow`] (what comes into one from now on), [`skim`] (how fast that can be read), [`publish`] (put anything there, also
//! rubbish), `controls` (what members of a group are told), [`broker`] (is it set up as the shop needs it).

pub mod broker;
pub mod bulk;
mod controls;
pub mod follow;
pub mod groups;
pub(crate) mod handles;
pub mod lag;
mod murmur;
pub mod named;
pub mod publish;
pub mod records;
pub mod replay;
pub mod skim;
pub mod tail;
pub mod topics;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use shared_events::NamePrefix;

pub use murmur::partition_of;

use kafka_runtime::KafkaSettings;

/// How long one question to the broker may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// What went wrong, and with what.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No answer at all.
    #[error("no Kafka broker answers at {address}{}", hint(.address))]
    Unreachable {
        /// The addresses asked.
        address: String,
    },
    /// The broker, or the client, refused.
    #[error("cannot {what}: {cause}")]
    Refused {
        /// What was tried.
        what: String,
        /// Why not. Not a `source`: its own source would say the same once more.
        cause: KafkaError,
    },
    /// Something that was waited for did not come.
    #[error("{0}")]
    TooLate(String),
    /// What is asked about is not there. The text says what there is, or what to do.
    #[error("{0}")]
    Missing(String),
    /// What was to be written breaks a rule, which the text names. Nothing was done.
    #[error("{0}")]
    Unsound(String),
}

/// The one mistake that everybody makes once, said instead of a bare "unreachable".
fn hint(address: &str) -> &'static str {
    if address.contains("kafka:") {
        ": is it running? ./sandbox up kafka starts it (the name kafka is known inside Docker's network only; on the host ./sandbox url kafka tells its address)"
    } else {
        ": is it running? ./sandbox up kafka starts it"
    }
}

/// A cluster. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Cluster {
    settings: Arc<KafkaSettings>,
    admin: Arc<AdminClient<DefaultClientContext>>,
    observer: Arc<BaseConsumer>,
    by_group: Arc<Mutex<HashMap<String, Arc<BaseConsumer>>>>,
}

impl Cluster {
    /// The cluster these settings name. Connects when first asked something, so a broker that is away is noticed then.
    pub fn new(settings: &KafkaSettings) -> Result<Self, ClusterError> {
        let made = |source| ClusterError::refused("make a Kafka client", source);
        Ok(Self {
            admin: Arc::new(handles::admin(settings).map_err(made)?),
            observer: Arc::new(handles::observer(settings, None).map_err(made)?),
            by_group: Arc::default(),
            settings: Arc::new(settings.clone()),
        })
    }

    /// What stands before this stack's names.
    pub fn prefix(&self) -> &NamePrefix {
        &self.settings.name_prefix
    }

    /// Which cluster, and what the names on it begin with.
    pub fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// Whether the broker answers within the time given.
    pub async fn answers(&self, within: Duration) -> Result<(), ClusterError> {
        let observer = Arc::clone(&self.observer);
        let answer = self.blocking(move || observer.fetch_metadata(None, within).map(drop));
        answer.await.map_err(|_| ClusterError::Unreachable {
            address: self.settings.bootstrap_servers.clone(),
        })
    }

    /// The handle that asks for a group's committed offsets. It never subscribes, so it is no member.
    fn of_group(&self, group: &str) -> Result<Arc<BaseConsumer>, ClusterError> {
        let mut handles = self.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = handles.get(group) {
            return Ok(Arc::clone(handle));
        }
        let made = handles::observer(&self.settings, Some(group));
        let handle =
            Arc::new(made.map_err(|source| ClusterError::refused("make a Kafka client", source))?);
        handles.insert(group.to_owned(), Arc::clone(&handle));
        Ok(handle)
    }

    /// Runs a question that blocks where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, KafkaError> {
        match tokio::task::spawn_blocking(ask).await {
            Ok(answer) => answer,
            Err(_) => Err(KafkaError::Canceled),
        }
    }

    /// An error of an operation; when nobody answers, that is what is said.
    fn error(&self, what: impl Into<String>, source: KafkaError) -> ClusterError {
        use rdkafka::types::RDKafkaErrorCode as Code;
        match source.rdkafka_error_code() {
            Some(Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve) => {
                ClusterError::Unreachable {
                    address: self.settings.bootstrap_servers.clone(),
                }
            }
            _ => ClusterError::refused(what, source),
        }
    }
}

impl ClusterError {
    pub(crate) fn refused(what: impl Into<String>, cause: KafkaError) -> Self {
        let what = what.into();
        Self::Refused { what, cause }
    }
}
