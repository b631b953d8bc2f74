//! What the callbacks of a member's consumer report: its assignment, its brokers, its fetching.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

use super::fetch_watch::FetchWatch;
use super::known_brokers::KnownBrokers;
use crate::broker_health::BrokerHealth;
use crate::member::loss_watch::LogStart;
use crate::topic_partitions::{Offsets, Partition, TopicNames};

#[derive(Debug, Default)]
struct State {
    assigned: BTreeSet<Partition>,
    revoked: BTreeSet<Partition>,
    fetch_watch: FetchWatch,
    /// The beginning of each assigned partition's log, by statistics that the consumer loop has not taken yet.
    log_starts: Option<BTreeMap<Partition, LogStart>>,
    /// Committed offsets that were asked for and have arrived.
    committed: Offsets,
    /// The coordinator has answered heartbeats, by the statistics.
    coordinator_answers: bool,
}

/// Answers of the coordinator after which a heartbeat is among them for certain. The first answer is that of the handshake
/// (`ApiVersions`), the second may refuse a heartbeat because the coordinator is still loading.
const ANSWERS: u64 = 3;

/// The context of a member's consumer. librdkafka runs its callbacks inside `poll`, on the member's own thread.
#[derive(Clone)]
pub(crate) struct MemberContext {
    names: TopicNames,
    health: BrokerHealth,
    rebalances: IntCounter,
    brokers: KnownBrokers,
    state: Arc<Mutex<State>>,
}

impl MemberContext {
    pub(super) fn new(names: TopicNames, health: BrokerHealth, rebalances: IntCounter) -> Self {
        Self {
            names,
            health,
            rebalances,
            brokers: KnownBrokers::default(),
            state: Arc::default(),
        }
    }

    /// The context of another client of the same member, with nothing assigned yet.
    pub(super) fn for_new_client(&self) -> Self {
        Self {
            brokers: KnownBrokers::default(),
            state: Arc::default(),
            ..self.clone()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn names(&self) -> &TopicNames {
        &self.names
    }

    /// A broker answered.
    pub(crate) fn reached(&self) {
        self.health.reached();
    }

    /// Whether a broker has answered since the last one was lost.
    pub(super) fn is_reachable(&self) -> bool {
        self.health.is_reached()
    }

    /// How often a connection to a broker has failed or was lost.
    pub(super) fn connection_failures(&self) -> u64 {
        self.health.failures()
    }

    pub(super) fn has_lost_brokers(&self) -> bool {
        self.brokers.are_lost()
    }

    pub(super) fn fetches_all(&self) -> bool {
        self.state().fetch_watch.fetches_all()
    }

    pub(super) fn has_silent_partition(&self) -> bool {
        self.state().fetch_watch.has_silent_partition()
    }

    pub(crate) fn assigned(&self) -> BTreeSet<Partition> {
        self.state().assigned.clone()
    }

    /// The partitions that were revoked since the last call, also those that were assigned again meanwhile.
    pub(crate) fn take_revoked(&self) -> BTreeSet<Partition> {
        std::mem::take(&mut self.state().revoked)
    }

    /// The beginnings of the logs, if there are new statistics.
    pub(crate) fn take_log_starts(&self) -> Option<BTreeMap<Partition, LogStart>> {
        self.state().log_starts.take()
    }

    /// The committed offsets that have arrived since the last call.
    pub(crate) fn take_committed(&self) -> Offsets {
        std::mem::take(&mut self.state().committed)
    }

    pub(super) fn add_committed(&self, offsets: Offsets) {
        self.state().committed.extend(offsets);
    }

    /// How many assignments the group has given this member. With more than 0 and nothing assigned the member is idle: there
    /// are more members than partitions.
    pub(super) fn rebalances(&self) -> u64 {
        self.rebalances.get()
    }

    /// Whether the coordinator answers the heartbeats of this client. librdkafka has a connection to it that carries nothing else
    /// while nothing is assigned.
    pub(super) fn coordinator_answers(&self) -> bool {
        self.state().coordinator_answers
    }
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.health.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.brokers.update(&statistics);
        let mut state = self.state();
        let State {
            assigned,
            fetch_watch,
            log_starts,
            coordinator_answers,
            ..
        } = &mut *state;
        let mut brokers = statistics.brokers.values();
        *coordinator_answers |= brokers.any(|one| one.source == "logical" && one.rx >= ANSWERS);
        let with_start = |one: &Partition| {
            Some((
                *one,
                log_start(&statistics, self.names.name(one.topic), *one)?,
            ))
        };
        *log_starts = Some(assigned.iter().filter_map(with_start).collect());
        let assigned = assigned.iter();
        let assigned =
            assigned.map(|partition| (self.names.name(partition.topic), partition.number));
        fetch_watch.update(&statistics, assigned);
        drop(state);
        self.health.stats(statistics);
    }
}

/// The beginning of a partition's log. `None` until the first fetch, and after one that failed.
fn log_start(statistics: &Statistics, topic: &str, partition: Partition) -> Option<LogStart> {
    let topic = statistics.topics.get(topic)?;
    let found = topic.partitions.get(&partition.number)?;
    (found.lo_offset >= 0).then_some(LogStart {
        offset: found.lo_offset,
        is_queue_empty: found.fetchq_cnt == 0,
    })
}

impl ConsumerContext for MemberContext {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut state = self.state();
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = self.names.partitions(list);
                tracing::info!(?partitions, "partitions assigned");
                state.assigned.extend(partitions);
                self.rebalances.inc();
                self.health.reached();
            }
            Rebalance::Revoke(list) => {
                let partitions = self.names.partitions(list);
                tracing::info!(?partitions, "partitions revoked");
                state
                    .assigned
                    .retain(|assigned| !partitions.contains(assigned));
                state.revoked.extend(partitions);
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}
