//! What all members of a group are told: every one reads `sandbox.controls` from its beginning and follows it, by itself and
//! without a group, on a thread of its own.
//!
//! The topic is compacted, so its beginning is never far away: it holds the last record of each service, and some older ones.
//! Rubbish in it is passed over, counted and said. It should be replaced all the same: compaction keeps the last record of a
//! key whatever it is, so a member that starts later may find only the rubbish.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::IntCounterVec;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use shared_events::{GroupControls, Service, Topic, InvalidControls};
use tokio_util::sync::CancellationToken;

use super::Controls;
use crate::client;
use crate::client::has_gone;
use crate::member::MemberSettings;
use crate::metrics::{Ignored, ignored};
use crate::stray::{KnownBrokers, close_aside};

/// How long a poll waits. It is also how soon a wish to stop is seen.
const POLL: Duration = Duration::from_millis(100);

/// How long the broker may take to say which topics there are.
const ASKED: Duration = Duration::from_secs(2);

/// How long until a topic that was not there is looked for again; also after an unanswered question.
const AGAIN: Duration = Duration::from_secs(2);

/// Follows the topic until `stop`.
pub(crate) struct Follower {
    config: ClientConfig,
    consumer: Arc<BaseConsumer<KnownBrokers>>,
    service: Service,
    topic: String,
    /// What the service reads. Where none of it is, nothing can be taken either.
    consumed: Vec<String>,
    controls: Controls,
    ignored: IntCounterVec,
    stop: CancellationToken,
}

/// What the broker knows of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    Missing,
    /// The broker is away, the topic has no leader, or there are no topics at all yet.
    Unknown,
}

impl Follower {
    pub(crate) fn new(
        settings: &MemberSettings,
        controls: Controls,
        ignored: IntCounterVec,
        stop: CancellationToken,
    ) -> KafkaResult<Self> {
        let prefix = &settings.kafka.name_prefix;
        let config = client::controls_config(settings.service, &settings.kafka);
        let consumed = settings.service.consumes().iter();
        Ok(Self {
            consumer: Arc::new(client::create(&config, KnownBrokers::default())?),
            config,
            service: settings.service,
            topic: prefix.topic(Topic::Controls),
            consumed: consumed.map(|topic| prefix.topic(*topic)).collect(),
            controls,
            ignored,
            stop,
        })
    }

    /// Never fails: what it cannot read it waits for, and until it has read to the end once, the member takes no records.
    pub(crate) fn run(mut self) {
        let mut missing = false;
        while !self.stop.is_cancelled() {
            self.replace_stray();
            match self.presence() {
                Presence::There => {
                    missing = false;
                    self.follow();
                }
                Presence::Missing => {
                    if !missing {
                        tracing::warn!(
                            topic = self.topic,
                            "no such topic: the group has no settings until it is made"
                        );
                    }
                    missing = true;
                    self.controls.group_found(None);
                    self.wait();
                }
                Presence::Unknown => self.wait(),
            }
        }
    }

    /// Another client for one that has lost every broker.
    fn replace_stray(&mut self) {
        if !self.consumer.context().are_lost() {
            return;
        }
        match client::create(&self.config, KnownBrokers::default()) {
            Ok(consumer) => close_aside(std::mem::replace(&mut self.consumer, Arc::new(consumer))),
            Err(error) => tracing::warn!(%error, "no client to read the group's settings with"),
        }
    }

    fn presence(&self) -> Presence {
        // All topics and not this one: asking for one makes librdkafka refuse to know it for a while if it is not there.
        let Ok(metadata) = self.consumer.fetch_metadata(None, ASKED) else {
            return Presence::Unknown;
        };
        let topics = metadata.topics();
        match topics.iter().find(|topic| topic.name() == self.topic) {
            Some(found) => match found.partitions() {
                [first, ..] if first.leader() >= 0 => Presence::There,
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

    /// Waits a while. Polls meanwhile, since the client tells its troubles to whoever does, and keeps them otherwise.
    fn wait(&self) {
        let until = Instant::now() + AGAIN;
        while !self.stop.is_cancelled() && Instant::now() < until {
            let _ = self.consumer.poll(POLL);
        }
    }

    /// Reads the topic from its beginning, then what comes; returns when the topic has gone, or does not answer yet.
    fn follow(&self) {
        let Ok((low, end)) = self.consumer.fetch_watermarks(&self.topic, 0, ASKED) else {
            return self.wait();
        };
        let mut from_start = TopicPartitionList::new();
        // Fails only on an offset that is no offset.
        let _ = from_start.add_partition_offset(&self.topic, 0, Offset::Beginning);
        if let Err(error) = self.consumer.assign(&from_start) {
            tracing::warn!(topic = self.topic, %error, "cannot be read");
            return self.wait();
        }
        // What was told before, until the end of it is reached.
        let mut before = Some(None);
        if low >= end {
            self.found(&mut before);
        }
        while !self.stop.is_cancelled() && !self.consumer.context().are_lost() {
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    self.take(&message, &mut before);
                    if message.offset() + 1 >= end {
                        self.found(&mut before);
                    }
                }
                // Compaction, or the marker of a transaction, may have the last offset.
                Some(Err(KafkaError::PartitionEOF(_))) => self.found(&mut before),
                // With it the group's settings are gone; who looks for it next says so.
                Some(Err(error)) if has_gone(&error) => break,
                Some(Err(error)) => tracing::debug!(%error, "poll"),
            }
        }
        // Refused by a client that has just unassigned it by itself.
        let _ = self.consumer.unassign();
    }

    /// All that was told before is read.
    fn found(&self, before: &mut Option<Option<GroupControls>>) {
        if let Some(last) = before.take() {
            tracing::info!(settings = ?last, "the group's settings are known");
            self.controls.group_found(last);
        }
    }

    fn take(&self, message: &BorrowedMessage<'_>, before: &mut Option<Option<GroupControls>>) {
        let told = match read(message.key(), message.payload()) {
            Ok((service, told)) if service == self.service => told,
            Ok(_) => return,
            // A bad record of a service is that service's to tell.
            Err((Some(service), _)) if service != self.service => return,
            Err((_, why)) => return self.ignore(message.offset(), &why),
        };
        match before {
            Some(before) => *before = told,
            None => {
                tracing::info!(settings = ?told, "the group's settings were changed");
                self.controls.group_told(told);
            }
        }
    }

    fn ignore(&self, offset: i64, why: &Wrong) {
        ignored(&self.ignored, why.kind()).inc();
        tracing::warn!(topic = self.topic, offset, %why, "a record is ignored");
    }
}

/// Why a record is ignored.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Wrong {
    #[error("its key is no service's name")]
    UnknownKey,
    #[error(transparent)]
    Value(#[from] InvalidControls),
}

impl Wrong {
    fn kind(&self) -> Ignored {
        match self {
            Self::UnknownKey => Ignored::UnknownKey,
            Self::Value(InvalidControls::NotAnObject) => Ignored::NotAnObject,
            Self::Value(InvalidControls::OutOfBounds(_)) => Ignored::OutOfBounds,
            Self::Value(InvalidControls::NoKnownField) => Ignored::NamesNothing,
        }
    }
}

type Told = (Service, Option<GroupControls>);

/// Whom a record is for, and what it says; or why it is rubbish, with whom it would be for.
fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Told, (Option<Service>, Wrong)> {
    let name = key.and_then(|key| std::str::from_utf8(key).ok());
    let service = name.and_then(|name| Service::from_str(name).ok());
    let service = service.ok_or((None, Wrong::UnknownKey))?;
    let told = value.map(GroupControls::decode).transpose();
    let told = told.map_err(|wrong| (Some(service), wrong.into()))?;
    Ok((service, told))
}
