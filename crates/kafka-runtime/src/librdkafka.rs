//! The workarounds for librdkafka (2.12.1), in one place. `ResilientConsumer` hides them from the consumer loop.
//!
//! * **Issue 5301, lost brokers.** librdkafka forgets its brokers when a metadata answer names none, and then never asks
//!   again. A single broker gives such an answer while it starts. [`KnownBrokers`] finds such a client by its statistics,
//!   and its owner replaces it. Producers of a load have the same problem, so the type is public.
//! * **Issue 5586, silent partitions.** A consumer fetches a partition once it knows the group's committed offset.
//!   librdkafka does not ask again after an answer that named no partition, so the partition stays silent for ever.
//!   `FetchWatch` finds it by the statistics, and the consumer is replaced once.
//! * **Issue 3740, closing hangs.** Closing a consumer may wait for answers that never come. A replaced consumer is closed
//!   on a thread of its own, and so is the consumer of a member that stops: `leave_group` waits for the thread with a limit.
//! * **Unanswered commits** (no issue known). A commit has been seen that librdkafka never ended. `commit_within` gives each
//!   commit a limit, and after it the consumer is replaced.
//! * **Issue 5423, late requests of a producer.** A request that timed out may still reach the broker, inside the next
//!   transaction. `transaction` says after which errors a producer must be replaced.
//! * **Undecodable record sets.** librdkafka skips a damaged record set, and rdkafka does not say where it was.
//!   `undecodable` finds it.
//! * **Paused partitions.** librdkafka does not pause a partition that is assigned later, and one that was paused when it was
//!   revoked comes back paused. `ResilientConsumer::set_paused` covers both.
//! * **Members without a callback.** With the protocol `consumer` librdkafka does not report a first assignment that is empty.
//!   `ResilientConsumer::has_joined` looks at the statistics.

mod commit_within;
mod consumer_context;
mod fetch_watch;
pub(crate) mod known_brokers;
mod leave_group;
mod position;
pub(crate) mod transaction;
pub(crate) mod undecodable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use rdkafka::Offset;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::broker_health::BrokerHealth;
use crate::client;
use crate::topic_partitions::{Offsets, Partition, TopicNames};
pub(crate) use commit_within::{COMMIT_LIMIT, CommitError, is_rebalance};
pub(crate) use consumer_context::MemberContext;
pub use known_brokers::KnownBrokers;
use leave_group::Left;
pub(crate) use position::positions;
use position::seek;

/// How long an empty poll waits. It is also how late a pause or a stop may be noticed.
pub(crate) const IDLE_POLL: Duration = Duration::from_millis(100);

/// How long the position must be ahead of the committed offset before the position is committed.
const IDLE_COMMIT: Duration = Duration::from_secs(1);

/// How long a leaving member waits for the answer of the coordinator.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// librdkafka's consumer, with the callbacks of a member.
pub(crate) type Client = BaseConsumer<MemberContext>;

/// The Kafka client reports an error from which no retry recovers, so the member ends.
#[derive(Debug, thiserror::Error)]
#[error("fatal error of the Kafka consumer")]
pub struct ConsumerFatal(#[source] pub(crate) KafkaError);

/// Whether a call has replaced the client. A replaced client begins at the committed offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum ClientState {
    Kept,
    Replaced,
}

/// A consumer that replaces its librdkafka client when the client stops working.
///
/// A new client joins the group and begins at the committed offsets: what was not committed is redelivered to it.
pub(crate) struct ResilientConsumer {
    config: ClientConfig,
    client: Arc<Client>,
    commit_limit: Duration,
    /// Of each assigned partition, whether the client has paused it.
    paused: BTreeMap<Partition, bool>,
    /// The offsets that this client has committed.
    committed: Offsets,
    /// Since when the position has been ahead of the committed offsets.
    ahead_since: Option<Instant>,
    /// The client was replaced because of a silent partition, and the new one does not fetch all partitions yet.
    replaced_for_silence: bool,
}

impl ResilientConsumer {
    /// Creates a client and subscribes it. It joins the group while it is polled.
    pub(crate) fn subscribe(
        config: ClientConfig,
        names: TopicNames,
        health: BrokerHealth,
        rebalances: IntCounter,
        commit_limit: Duration,
    ) -> KafkaResult<Self> {
        let context = MemberContext::new(names, health, rebalances);
        Ok(Self {
            client: Arc::new(subscribed(&config, context)?),
            config,
            commit_limit,
            paused: BTreeMap::new(),
            committed: Offsets::new(),
            ahead_since: None,
            replaced_for_silence: false,
        })
    }

    /// The client of now. Records borrow from it, so a batch keeps a client alive that is replaced meanwhile.
    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    pub(crate) fn names(&self) -> &TopicNames {
        self.client.context().names()
    }

    pub(crate) fn assigned(&self) -> BTreeSet<Partition> {
        self.client.context().assigned()
    }

    /// Whether the group has ever given this member an assignment. An assignment may be empty. With the protocol `consumer`
    /// librdkafka does not report a first assignment that is empty.
    pub(crate) fn has_joined(&self) -> bool {
        let context = self.client.context();
        let is_assigned_by_broker = self.config.get("group.protocol") == Some("consumer");
        context.rebalances() > 0 || (is_assigned_by_broker && context.coordinator_answers())
    }

    /// Whether an assigned partition has been silent for too long (issue 5586).
    pub(crate) fn has_silent_partition(&self) -> bool {
        self.client.context().has_silent_partition()
    }

    /// Replaces the client if it has lost every broker, or does not fetch a partition.
    pub(crate) fn replace_if_broken(&mut self) -> Result<ClientState, ConsumerFatal> {
        let context = self.client.context();
        if context.has_lost_brokers() {
            return self.replace("the client has lost every broker");
        }
        self.replaced_for_silence &= !context.fetches_all();
        if context.has_silent_partition() && !self.replaced_for_silence {
            // Only once: a replacement makes the whole group rebalance, and it does not help if the broker is the cause.
            self.replaced_for_silence = true;
            return self.replace("the committed offset of a partition is not returned");
        }
        Ok(ClientState::Kept)
    }

    /// Replaces the client. The old one leaves the group, if the group still knows it.
    pub(crate) fn replace(&mut self, reason: &str) -> Result<ClientState, ConsumerFatal> {
        tracing::error!(reason, "replacing the consumer");
        let context = self.client.context().for_new_client();
        let client = subscribed(&self.config, context).map_err(ConsumerFatal)?;
        close_in_background(std::mem::replace(&mut self.client, Arc::new(client)));
        self.paused.clear();
        self.committed.clear();
        self.ahead_since = None;
        Ok(ClientState::Replaced)
    }

    /// Pauses or resumes all assigned partitions, except that those of `waiting` are paused in any case. Costs nothing while
    /// nothing changes.
    pub(crate) fn set_paused(&mut self, pause: bool, waiting: &BTreeSet<Partition>) {
        for pause_now in [true, false] {
            self.set_paused_of(pause_now, |one| pause || waiting.contains(one));
        }
    }

    /// Pauses or resumes the assigned partitions of which `is_paused` asks for it.
    fn set_paused_of(&mut self, pause: bool, is_paused: impl Fn(&Partition) -> bool) {
        let assigned = self.assigned();
        self.paused
            .retain(|partition, _| assigned.contains(partition));
        let changed: Vec<Partition> = assigned
            .into_iter()
            .filter(|one| is_paused(one) == pause && self.paused.get(one) != Some(&pause))
            .collect();
        if changed.is_empty() {
            return;
        }
        let invalid = |partition: &Partition| (*partition, Offset::Invalid);
        let list = self.names().list(changed.iter().map(invalid));
        let done = match pause {
            true => self.client.pause(&list),
            false => self.client.resume(&list),
        };
        // It fails for a partition that was just revoked; the next poll runs the callback.
        if done.is_ok() {
            let changed = changed.into_iter().map(|partition| (partition, pause));
            self.paused.extend(changed);
        }
    }

    /// Makes the next poll read each of these partitions from the given offset, as far as it is still assigned.
    ///
    /// A partition that keeps its position after a failed seek would skip records for ever, so the client is then replaced.
    pub(crate) fn seek(&mut self, offsets: &Offsets) -> Result<ClientState, ConsumerFatal> {
        match seek(&self.client, offsets) {
            Ok(()) => Ok(ClientState::Kept),
            Err(error) => {
                tracing::warn!(%error, "seek failed");
                self.replace("seek failed")
            }
        }
    }

    /// Commits offsets without a transaction. The broker checks member and generation, as for a transaction.
    pub(crate) fn commit_offsets(&self, offsets: &TopicPartitionList) -> Result<(), CommitError> {
        commit_within::commit(&self.client, offsets, self.commit_limit)
    }

    /// The metadata by which the group coordinator checks a transaction's offsets (KIP-447).
    pub(crate) fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.client.group_metadata()
    }

    /// These offsets are committed, by [`ResilientConsumer::commit_offsets`] or in a transaction.
    pub(crate) fn mark_committed(&mut self, offsets: Offsets) {
        self.committed.extend(offsets);
    }

    /// Asks for the committed offsets of these partitions, which arrive at the context later.
    pub(crate) fn ask_committed(&self, partitions: &[Partition]) {
        if !partitions.is_empty() {
            position::ask_committed(&self.client, partitions);
        }
    }

    /// Commits a position that has been ahead of its committed offset for a second.
    ///
    /// An aborted transaction leaves offsets without a record to read. Without this commit Kafka's tools would show them as
    /// lag for ever.
    pub(crate) fn commit_idle_position(
        &mut self,
        mut ahead: Offsets,
    ) -> Result<ClientState, ConsumerFatal> {
        ahead.retain(|partition, position| {
            self.committed
                .get(partition)
                .is_none_or(|committed| committed < position)
        });
        if ahead.is_empty() {
            self.ahead_since = None;
            return Ok(ClientState::Kept);
        }
        let since = *self.ahead_since.get_or_insert_with(Instant::now);
        if since.elapsed() < IDLE_COMMIT {
            return Ok(ClientState::Kept);
        }
        self.ahead_since = None;
        match self.commit_offsets(&self.names().offset_list(&ahead)) {
            Ok(()) => self.mark_committed(ahead),
            Err(CommitError::OutcomeUnknown(_)) => {
                return self.replace("outcome of a commit unknown");
            }
            // Only the displayed lag depends on it, and the next idle second tries again.
            Err(error) => tracing::debug!(%error, "position not committed"),
        }
        Ok(ClientState::Kept)
    }

    /// Leaves the group, so that the other members take over at once and not after the session time-out. Returns when the
    /// coordinator has answered, after [`LEAVE_TIMEOUT`] at most.
    pub(crate) fn leave_group(self) {
        let identity = leave_group::Identity::new(&self.config, self.has_joined());
        match leave_group::leave(self.client, &identity, LEAVE_TIMEOUT) {
            Left::Answered => tracing::info!("left the group"),
            Left::Static => tracing::info!(
                "stopped as a static member: its partitions wait for it until the session time-out"
            ),
            Left::NotJoined => tracing::info!("stopped before it joined the group"),
            Left::Unanswered(reason) => tracing::warn!(
                reason,
                "stopped without an answer to leaving the group: its partitions may be blocked until the session time-out"
            ),
        }
    }

    /// Closes the client without waiting for it.
    pub(crate) fn close(self) {
        close_in_background(self.client);
    }
}

fn subscribed(config: &ClientConfig, context: MemberContext) -> KafkaResult<Client> {
    let names = context.names().clone();
    let client: Client = client::create(config, context)?;
    client.subscribe(&names.names())?;
    Ok(client)
}

/// Closes a consumer on a thread of its own, since closing may hang (issue 3740).
///
/// The thread polls the consumer as long as something else still holds it, as an unanswered commit does: otherwise
/// librdkafka's events would pile up. Meanwhile the consumer is unsubscribed. If no thread can be created, the consumer is closed
/// on this one.
pub(crate) fn close_in_background<C: ConsumerContext + 'static>(old: Arc<BaseConsumer<C>>) {
    let closing = std::thread::Builder::new().name("closing".to_owned());
    let _ = closing.spawn(move || {
        // Not of a consumer that is closed at once: see `leave_group`.
        if Arc::strong_count(&old) > 1 {
            old.unsubscribe();
        }
        while Arc::strong_count(&old) > 1 {
            let _ = old.poll(Duration::from_millis(500));
        }
    });
}
