//! Reads the settings of the whole group from the topic `sandbox.controls`, and looks at which topics exist.
//!
//! Every member reads the topic from its beginning and then follows it, on a thread of its own and without a group. The topic is
//! compacted, so it is short: it holds the last record of each service, and some older ones.
//!
//! An invalid record is skipped, counted and logged. It should be replaced all the same: compaction keeps the last record of a
//! key even if it is invalid, so a member that starts later may find no other.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use prometheus::IntCounterVec;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use shared_events::{GroupControls, InvalidControls, Service, Topic};
use tokio_util::sync::CancellationToken;

use super::Controls;
use super::layer::Layer;
use crate::client;
use crate::client::is_unknown_topic;
use crate::librdkafka::{IDLE_POLL, KnownBrokers, close_in_background};
use crate::metrics::labels::IgnoreReason;
use crate::settings::KafkaSettings;
use crate::topic_watch::TopicWatch;

/// How long the broker may take to answer about the topic.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How often the topics of the cluster are looked at.
const TOPICS_INTERVAL: Duration = Duration::from_secs(1);

/// Reads the topic until `stop`.
pub(crate) struct ControlTopicReader {
    config: ClientConfig,
    consumer: Arc<BaseConsumer<KnownBrokers>>,
    service: Service,
    topic: String,
    /// The topics that the service consumes. While the broker has none of them, there is nothing to consume either.
    consumed: Vec<String>,
    topic_watch: TopicWatch,
    controls: Controls,
    ignored: IntCounterVec,
    stop: CancellationToken,
}

/// Whether the broker has the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Present,
    Missing,
    /// The broker is down, the topic has no leader, or the broker has no topics of ours yet.
    Unknown,
}

impl ControlTopicReader {
    pub(crate) fn new(
        service: Service,
        kafka: &KafkaSettings,
        topic_watch: TopicWatch,
        controls: Controls,
        ignored: IntCounterVec,
        stop: CancellationToken,
    ) -> KafkaResult<Self> {
        let prefix = &kafka.name_prefix;
        let config = client::controls_config(service, kafka);
        let consumed = service.consumes().iter();
        Ok(Self {
            consumer: Arc::new(client::create(&config, KnownBrokers::default())?),
            config,
            service,
            topic: prefix.topic(Topic::Controls),
            consumed: consumed.map(|topic| prefix.topic(*topic)).collect(),
            topic_watch,
            controls,
            ignored,
            stop,
        })
    }

    /// Retries whatever fails. The member takes no records until the topic has been read to its end once.
    pub(crate) fn run(mut self) {
        let mut missing = false;
        while !self.stop.is_cancelled() {
            self.replace_if_lost();
            match self.look_for_topic() {
                Presence::Present => {
                    missing = false;
                    self.read_topic();
                }
                Presence::Missing => {
                    if !missing {
                        tracing::warn!(
                            topic = self.topic,
                            "unknown topic: the group has no settings until it is created"
                        );
                    }
                    missing = true;
                    self.controls.group_loaded(Layer::default());
                    self.wait();
                }
                Presence::Unknown => self.wait(),
            }
        }
    }

    /// Replaces a client that has lost every broker.
    fn replace_if_lost(&mut self) {
        if !self.consumer.context().are_lost() {
            return;
        }
        match client::create(&self.config, KnownBrokers::default()) {
            Ok(consumer) => {
                close_in_background(std::mem::replace(&mut self.consumer, Arc::new(consumer)));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot replace the consumer of the group's settings")
            }
        }
    }

    fn look_for_topic(&self) -> Presence {
        // The metadata of all topics, not of this one: after a request for a missing topic librdkafka reports it as unknown for
        // a while, even if it is created meanwhile.
        let Ok(metadata) = self.consumer.fetch_metadata(None, REQUEST_TIMEOUT) else {
            return Presence::Unknown;
        };
        let topics = metadata.topics();
        // An answer without brokers is that of a broker that starts. It may name no topics either.
        if !metadata.brokers().is_empty() {
            let topics = topics.iter();
            self.topic_watch
                .update(topics.map(|topic| (topic.name(), topic.partitions().len())));
        }
        match topics.iter().find(|topic| topic.name() == self.topic) {
            Some(found) => match found.partitions() {
                [first, ..] if first.leader() >= 0 => Presence::Present,
                _ => Presence::Unknown,
            },
            None => {
                let known = |name: &String| topics.iter().any(|topic| topic.name() == name);
                match self.consumed.iter().any(known) {
                    true => Presence::Missing,
                    false => Presence::Unknown,
                }
            }
        }
    }

    /// Waits. Polls meanwhile, since librdkafka delivers its errors and statistics with polls.
    fn wait(&self) {
        let deadline = Instant::now() + TOPICS_INTERVAL;
        while !self.stop.is_cancelled() && Instant::now() < deadline {
            let _ = self.consumer.poll(IDLE_POLL);
        }
    }

    /// Reads the topic from its beginning and then follows it. Returns when the topic is deleted or does not answer.
    fn read_topic(&self) {
        let Ok((low, end)) = self
            .consumer
            .fetch_watermarks(&self.topic, 0, REQUEST_TIMEOUT)
        else {
            return self.wait();
        };
        let mut from_start = TopicPartitionList::new();
        // Fails only on an invalid offset.
        let _ = from_start.add_partition_offset(&self.topic, 0, Offset::Beginning);
        if let Err(error) = self.consumer.assign(&from_start) {
            tracing::warn!(topic = self.topic, %error, "assign failed");
            return self.wait();
        }
        // The settings of the records that were there at the start, until the reader has reached the end.
        let mut at_start = Some(Layer::default());
        if low >= end {
            self.loaded(&mut at_start);
        }
        let mut looked = Instant::now();
        while !self.stop.is_cancelled() && !self.consumer.context().are_lost() {
            if looked.elapsed() >= TOPICS_INTERVAL {
                self.look_for_topic();
                looked = Instant::now();
            }
            match self.consumer.poll(IDLE_POLL) {
                None => {}
                Some(Ok(message)) => {
                    self.handle(&message, &mut at_start);
                    if message.offset() + 1 >= end {
                        self.loaded(&mut at_start);
                    }
                }
                // The last offset may belong to a compacted record or to a transaction marker.
                Some(Err(KafkaError::PartitionEOF(_))) => self.loaded(&mut at_start),
                // The settings are deleted with the topic. `run` then finds it missing.
                Some(Err(error)) if is_unknown_topic(&error) => break,
                Some(Err(error)) => tracing::debug!(%error, "poll failed"),
            }
        }
        // It fails if the client has just unassigned the partition by itself.
        let _ = self.consumer.unassign();
    }

    /// Everything that was there at the start has been read.
    fn loaded(&self, at_start: &mut Option<Layer>) {
        if let Some(settings) = at_start.take() {
            self.controls.group_loaded(settings);
        }
    }

    fn handle(&self, message: &BorrowedMessage<'_>, at_start: &mut Option<Layer>) {
        let settings = match parse(message.key(), message.payload()) {
            Ok((service, settings)) if service == self.service => settings,
            Ok(_) => return,
            // The members of the other service report it.
            Err((Some(service), _)) if service != self.service => return,
            Err((_, error)) => return self.ignore(message.offset(), &error),
        };
        let millis = message.timestamp().to_millis();
        let at = millis.and_then(DateTime::from_timestamp_millis);
        let faults = settings.as_ref().map(GroupControls::faults);
        let settings = settings.map(|settings| self.controls.layer(settings, at));
        if settings.is_some_and(|set| set.faults_ignored) {
            let names = faults.unwrap_or_default();
            self.ignore(message.offset(), &InvalidRecord::FaultNotAllowed(names));
        }
        match at_start {
            // A value that an older record has set already keeps its time.
            Some(before) => *before = settings.unwrap_or_default().replacing(before),
            None => self.controls.group_changed(settings),
        }
    }

    fn ignore(&self, offset: i64, error: &InvalidRecord) {
        let reason = error.reason().label();
        self.ignored.with_label_values(&[reason]).inc();
        tracing::warn!(topic = self.topic, offset, %error, "record ignored");
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum InvalidRecord {
    #[error("its key is not the name of a service")]
    UnknownKey,
    #[error(transparent)]
    Value(#[from] InvalidControls),
    /// The other fields of the record apply.
    #[error("{} needs SANDBOX_UNSAFE=1, which this process runs without", .0.join(" and "))]
    FaultNotAllowed(Vec<&'static str>),
}

impl InvalidRecord {
    fn reason(&self) -> IgnoreReason {
        match self {
            Self::UnknownKey => IgnoreReason::UnknownKey,
            Self::Value(InvalidControls::NotAnObject) => IgnoreReason::NotAnObject,
            Self::Value(InvalidControls::OutOfBounds(_)) => IgnoreReason::OutOfBounds,
            Self::Value(InvalidControls::NoKnownField) => IgnoreReason::NamesNothing,
            Self::FaultNotAllowed(_) => IgnoreReason::FaultNotAllowed,
        }
    }
}

/// The service of a record and its settings. An invalid record has a service if its key is valid.
fn parse(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<(Service, Option<GroupControls>), (Option<Service>, InvalidRecord)> {
    let name = key.and_then(|key| std::str::from_utf8(key).ok());
    let service = name.and_then(|name| Service::from_str(name).ok());
    let service = service.ok_or((None, InvalidRecord::UnknownKey))?;
    let settings = value.map(GroupControls::decode).transpose();
    let settings = settings.map_err(|error| (Some(service), error.into()))?;
    Ok((service, settings))
}
