//! How dead letters come back: published again to the topic they came from, for the group that could not take them.
//!
//! The promise: each letter is replayed once, however often a replay is asked for, interrupted, or started twice at the same
//! time. It rests on two things:
//!
//! * The letters published and the position behind them are committed in *one* Kafka transaction. So a replay that dies has
//!   done all of a batch or nothing of it, and the next one goes on behind what was done.
//! * The transactional id is fixed, one a dead-letter topic. So a second replay fences the first, which can then commit nothing
//!   any more; and only after that is the position read, so it is the last one there will be.
//!
//! A letter that is refused (replayed too often, or not a dead letter at all) is passed over and named; it stays in the topic
//! for as long as its retention says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use shared_events::{Service, Topic};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::records::{Isolation, Query, Record, Start};
use crate::{Cluster, ClusterError, TIMEOUT, handles, lag};
use kafka_runtime::dead_letter::{self, DeadLetterHeaders, MAX_REPLAYS};

/// Letters published in one transaction. It has to end well within the transaction's time-out of 5 s.
const BATCH: usize = 200;

/// Why a replay ended early. What was replayed before stays replayed, and is not replayed again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Another replay of the same topic began; it goes on where this one was.
    #[error("another replay of {0} was started, which goes on where this one was")]
    Fenced(String),
    /// The topic holds events, not dead letters.
    #[error("{0} is no dead-letter topic: must be orders.dlq, payments.dlq or inventory.dlq")]
    NotDeadLetters(Topic),
    /// The broker refused, or did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A record of a dead-letter topic, and what can be done with it.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The record as it lies there.
    pub record: Record,
    /// What it says about itself, or why that cannot be read.
    pub headers: Result<DeadLetterHeaders, String>,
    /// Whether a replay has already passed it.
    pub passed: bool,
    /// What a replay does with it.
    pub verdict: Verdict,
}

/// What a replay does with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Publishes it again.
    Replay {
        /// The topic it came from, under its full name on the broker.
        to: String,
        /// The group that could not take it, under its full name on the broker.
        group: String,
        /// How often it was replayed before.
        replayed_before: u32,
    },
    /// Passes it over, and why.
    Refuse(String),
}

/// A replay that has begun: it has fenced all before it, and knows what is left to do.
pub struct Replay {
    topic: Topic,
    name: String,
    producer: FutureProducer,
    position: Arc<BaseConsumer>,
    letters: Vec<Letter>,
}

/// All letters of a dead-letter topic, by partition and offset. Disturbs nobody, so this is also the dry run: what a replay would
/// do are the letters that are not yet `passed`.
pub async fn letters(cluster: &Cluster, topic: Topic) -> Result<Vec<Letter>, ReplayError> {
    check(topic)?;
    let name = cluster.prefix().topic(topic);
    let position = handles::position(cluster.settings(), &group_of(cluster, topic));
    let position = Arc::new(position.map_err(|error| refused("make a Kafka client", error))?);
    let replayed = committed(cluster, &position, &name).await?;
    read(cluster, &name, Start::Beginning, &replayed).await
}

impl Replay {
    /// Begins a replay: from here on no earlier replay of this topic can publish anything.
    pub async fn begin(cluster: &Cluster, topic: Topic) -> Result<Self, ReplayError> {
        check(topic)?;
        let name = cluster.prefix().topic(topic);
        let group = group_of(cluster, topic);
        let producer = handles::transactional(cluster.settings(), &group);
        let producer = producer.map_err(|error| refused("make a Kafka client", error))?;
        let fencing = producer.clone();
        blocking(move || fencing.init_transactions(TIMEOUT))
            .await
            .map_err(|error| refused("begin a replay", error))?;
        // Only now: an earlier replay may have moved the position until it was fenced.
        let position = handles::position(cluster.settings(), &group);
        let position = Arc::new(position.map_err(|error| refused("make a Kafka client", error))?);
        let replayed = committed(cluster, &position, &name).await?;
        let letters = read(cluster, &name, Start::Offsets(replayed.clone()), &replayed).await?;
        Ok(Self {
            topic,
            name,
            producer,
            position,
            letters,
        })
    }

    /// What is left to replay, or to pass over.
    pub fn letters(&self) -> &[Letter] {
        &self.letters
    }

    /// Replays all of them, and calls `done` with the letters of each transaction when it is committed.
    pub async fn run(self, mut done: impl FnMut(&[Letter])) -> Result<(), ReplayError> {
        for batch in self.letters.chunks(BATCH) {
            if let Err(error) = self.replay(batch).await {
                let error = self.explain(error);
                self.abort().await;
                return Err(error);
            }
            done(batch);
        }
        Ok(())
    }

    async fn replay(&self, batch: &[Letter]) -> KafkaResult<()> {
        self.producer.begin_transaction()?;
        let mut sent = Vec::new();
        for letter in batch {
            if let Verdict::Replay {
                to,
                group,
                replayed_before,
            } = &letter.verdict
            {
                let record = again(&letter.record, to, group, *replayed_before);
                let delivery = self.producer.send_result(record);
                sent.push(delivery.map_err(|(error, _)| error)?);
            }
        }
        let delivered = try_join_all(sent).await.map_err(|_| KafkaError::Canceled)?;
        for outcome in delivered {
            outcome.map_err(|(error, _)| error)?;
        }
        self.nothing_in_flight().await?;
        let (producer, position) = (self.producer.clone(), Arc::clone(&self.position));
        let behind = behind(&self.name, batch)?;
        blocking(move || {
            let group = position.group_metadata().ok_or(KafkaError::Canceled)?;
            producer.send_offsets_to_transaction(&behind, &group, TIMEOUT)?;
            producer.commit_transaction(TIMEOUT)
        })
        .await
    }

    /// A delivery is known here a moment before librdkafka forgets the message, and a commit in that moment would wait 100 ms.
    async fn nothing_in_flight(&self) -> KafkaResult<()> {
        let deadline = Instant::now() + TIMEOUT;
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
            }
            sleep(Duration::from_micros(100)).await;
        }
        Ok(())
    }

    /// Gives the transaction up at once. Should that fail too, as it must after a fence, the broker gives it up in 5 s, or as
    /// soon as the next replay begins. Then nothing of it counts, unless it was only the answer to its commit that did not come: the
    /// next replay reads its position, and so knows.
    async fn abort(&self) {
        let producer = self.producer.clone();
        if let Err(error) = blocking(move || producer.abort_transaction(TIMEOUT)).await {
            tracing::debug!(%error, "a failed replay was left to the broker to abort");
        }
    }

    fn explain(&self, error: KafkaError) -> ReplayError {
        let client = self.producer.client().fatal_error().map(|(code, _)| code);
        match client.or(error.rdkafka_error_code()) {
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::ProducerFenced,
            ) => ReplayError::Fenced(self.topic.name().to_owned()),
            _ => refused(&format!("replay {}", self.name), error),
        }
    }
}

/// The group in which a topic's replay keeps its position, which is its transactional id too.
pub fn group_of(cluster: &Cluster, topic: Topic) -> String {
    cluster.prefix().name(&format!("dlq-replay-{topic}"))
}

fn check(topic: Topic) -> Result<(), ReplayError> {
    let known = Service::ALL
        .into_iter()
        .any(|service| service.dead_letters() == topic);
    if known {
        Ok(())
    } else {
        Err(ReplayError::NotDeadLetters(topic))
    }
}

async fn committed(
    cluster: &Cluster,
    position: &Arc<BaseConsumer>,
    name: &str,
) -> Result<BTreeMap<i32, i64>, ReplayError> {
    let partitions = cluster.partitions(name).await?;
    let wanted: Vec<_> = (0..partitions).map(|p| (name.to_owned(), p)).collect();
    let position = Arc::clone(position);
    let offsets = blocking(move || lag::committed(&position, &wanted)).await;
    let offsets = offsets.map_err(|error| refused("read how far replays got", error))?;
    Ok(offsets
        .into_iter()
        .map(|((_, p), offset)| (p, offset))
        .collect())
}

async fn read(
    cluster: &Cluster,
    name: &str,
    start: Start,
    replayed: &BTreeMap<i32, i64>,
) -> Result<Vec<Letter>, ReplayError> {
    let query = Query {
        start,
        isolation: Isolation::ReadCommitted,
        key: None,
    };
    let records = cluster.read(name, &query).await?;
    let letter = |record: Record| {
        let headers = DeadLetterHeaders::from_pairs(record.header_pairs());
        let headers = headers.map_err(|error| error.to_string());
        let position = replayed.get(&record.partition).copied().unwrap_or(0);
        Letter {
            passed: record.offset < position,
            verdict: verdict(cluster, &record, &headers),
            record,
            headers,
        }
    };
    Ok(records.into_iter().map(letter).collect())
}

fn verdict(
    cluster: &Cluster,
    record: &Record,
    headers: &Result<DeadLetterHeaders, String>,
) -> Verdict {
    if record.headers.is_none() {
        return Verdict::Refuse("the name of one of its headers is not UTF-8".to_owned());
    }
    let headers = match headers {
        Ok(headers) => headers,
        Err(reason) => return Verdict::Refuse(format!("is no dead letter: {reason}")),
    };
    if dead_letter::is_left_out(record.header_pairs()) {
        let place = format!(
            "{}[{}] at offset {}",
            headers.original_topic, headers.original_partition, headers.original_offset
        );
        return Verdict::Refuse(format!(
            "the record is too large for a letter, and lies in {place} only"
        ));
    }
    let origin = cluster.prefix().topic_of(&headers.original_topic);
    let reader = Service::ALL.into_iter().find(|service| {
        cluster.prefix().group(*service) == headers.consumer_group
            && origin.is_some_and(|topic| service.consumes().contains(&topic))
    });
    if reader.is_none() {
        let (group, topic) = (&headers.consumer_group, &headers.original_topic);
        return Verdict::Refuse(format!("group {group} does not read topic {topic}"));
    }
    match dead_letter::replay_count(record.header_pairs()) {
        Err(error) => Verdict::Refuse(error.to_string()),
        Ok(count) if count >= MAX_REPLAYS => {
            Verdict::Refuse(format!("was replayed {count} times, which is the limit"))
        }
        Ok(replayed_before) => Verdict::Replay {
            to: headers.original_topic.clone(),
            group: headers.consumer_group.clone(),
            replayed_before,
        },
    }
}

/// The record as it was before it was set aside, marked as a replay for one group.
fn again<'a>(
    record: &'a Record,
    to: &'a str,
    group: &str,
    replayed_before: u32,
) -> FutureRecord<'a, [u8], [u8]> {
    let mut headers = OwnedHeaders::new();
    let own = record.header_pairs();
    for (key, value) in own.filter(|(name, _)| !dead_letter::is_dead_letter_header(name)) {
        headers = headers.insert(Header { key, value });
    }
    for (key, value) in dead_letter::replay_pairs(replayed_before, group) {
        let value = Some(value.as_bytes());
        headers = headers.insert(Header { key, value });
    }
    let mut future = FutureRecord::to(to).headers(headers);
    if let Some(key) = &record.key {
        future = future.key(key.as_slice());
    }
    if let Some(value) = &record.value {
        future = future.payload(value.as_slice());
    }
    future
}

/// The position behind the last letter of each partition.
fn behind(name: &str, batch: &[Letter]) -> KafkaResult<TopicPartitionList> {
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for letter in batch {
        next.insert(letter.record.partition, letter.record.offset + 1);
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in next {
        list.add_partition_offset(name, partition, Offset::Offset(offset))?;
    }
    Ok(list)
}

fn refused(what: &str, source: KafkaError) -> ReplayError {
    ReplayError::Cluster(ClusterError::refused(what, source))
}

async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    match spawn_blocking(ask).await {
        Ok(answer) => answer,
        Err(_) => Err(KafkaError::Canceled),
    }
}
