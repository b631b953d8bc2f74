//! What lies between a committed offset and the stable one: how much of it no consumer will ever be given, and how old the first
//! readable record is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::batches::walk;
use crate::brokers::{Brokers, Node, Topics, by_leader};
use crate::error::ReadError;
use crate::records::Oldest;
use crate::snapshot::TopicPartition;

/// What a partition may send at most, bytes, unless its first batch is larger. With 4 KiB twice as many requests were needed
/// (measured).
const PARTITION_BYTES: i32 = 64 << 10;
/// From here on a partition had its share: what comes last in an answer is mostly cut.
const SHARE: usize = PARTITION_BYTES as usize / 2;
/// What an answer may hold at most, bytes, unless its first batch is larger.
const ANSWER_BYTES: i32 = 1 << 20;
/// Partitions in one request.
const PARTITIONS: usize = 200;

/// The offsets that a group has not read, below the stable one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stretch {
    /// Where.
    pub at: TopicPartition,
    /// The first.
    pub start: i64,
}

/// What is known of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walked {
    /// The topic's id: another topic of the same name is not this one.
    topic_id: u128,
    /// Up to where it was wanted.
    stable: i64,
    /// Up to where it was seen.
    reached: i64,
    /// Commit and abort markers.
    pub control: i64,
    /// Records of aborted transactions.
    pub aborted: i64,
    /// The first readable record.
    oldest: Oldest,
    /// How much of it was sent in this poll.
    bytes: usize,
}

impl Walked {
    /// Whether it had its share of this poll. What was cut short because the answer was full, is asked for again.
    fn has_its_share(&self) -> bool {
        self.is_complete() || self.bytes >= SHARE
    }

    /// Whether nothing is left unseen.
    pub fn is_complete(&self) -> bool {
        self.reached >= self.stable
    }

    /// The timestamp of the first readable record, milliseconds.
    pub fn oldest(&self) -> Option<i64> {
        match self.oldest {
            Oldest::At(timestamp) => Some(timestamp),
            Oldest::NotThere | Oldest::Unknown => None,
        }
    }
}

/// What was found so far. A stretch that was not seen to its end is gone on with at each poll, by one share: behind a group at rest
/// all is seen after some polls, and from then on a poll of a cluster in which nothing moves fetches nothing.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    walked: HashMap<Stretch, Walked>,
}

impl Unread {
    /// What is known of a stretch that was wanted in the last [`Unread::read`].
    pub fn of(&self, stretch: &Stretch) -> Option<&Walked> {
        self.walked.get(stretch)
    }

    /// Looks into these stretches, each as far as its share goes and not beyond its stable offset. Forgets all others.
    pub async fn read(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        wanted: &BTreeMap<Stretch, i64>,
    ) -> Result<(), ReadError> {
        let old = std::mem::take(&mut self.walked);
        let mut to_ask = BTreeSet::new();
        for (stretch, stable) in wanted {
            let topic = topics.get(&stretch.at.topic);
            let topic_id = topic.map_or(0, |topic| topic.topic_id.as_u128());
            let known = old.get(stretch);
            let known = known.filter(|one| one.topic_id == topic_id && one.stable <= *stable);
            let fresh = Walked {
                topic_id,
                stable: *stable,
                reached: stretch.start,
                control: 0,
                aborted: 0,
                oldest: Oldest::NotThere,
                bytes: 0,
            };
            let kept = known.map_or(fresh, |known| Walked {
                stable: *stable,
                bytes: 0,
                ..*known
            });
            // Also after a poll that failed on the way: what it did not see is not reached.
            if !kept.is_complete() {
                to_ask.insert(stretch.clone());
            }
            self.walked.insert(stretch.clone(), kept);
        }
        self.ask(brokers, topics, to_ask).await
    }

    async fn ask(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        stretches: BTreeSet<Stretch>,
    ) -> Result<(), ReadError> {
        let partitions: BTreeSet<_> = stretches.iter().map(|one| one.at.clone()).collect();
        let of = brokers.asked::<MetadataRequest>(-1);
        for (leader, partitions) in by_leader(of, topics, partitions)? {
            let of_leader = |one: &&Stretch| partitions.binary_search(&one.at).is_ok();
            let mut left: Vec<Stretch> = stretches.iter().filter(of_leader).cloned().collect();
            while !left.is_empty() {
                left = self.fetch(brokers, topics, leader, left).await?;
            }
        }
        Ok(())
    }

    /// One request; returns what is left. The broker sends the whole first batch only of the first partition, and of another
    /// *nothing* when its first batch is too large for what may still be sent: nothing is not "no records", it is asked again.
    async fn fetch(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
        leader: Node,
        stretches: Vec<Stretch>,
    ) -> Result<Vec<Stretch>, ReadError> {
        // A partition may be named once in a request, and two groups may be at different offsets of it.
        let mut asked = BTreeMap::<TopicPartition, Stretch>::new();
        let (mut now, mut left) = (Vec::new(), Vec::new());
        for stretch in stretches {
            if asked.len() < PARTITIONS && !asked.contains_key(&stretch.at) {
                asked.insert(stretch.at.clone(), stretch.clone());
                now.push(stretch);
            } else {
                left.push(stretch);
            }
        }
        let request = self.request(topics, &now);
        let answer = brokers.ask(leader, &request).await?;
        let of = brokers.asked::<FetchRequest>(leader);
        of.fine(answer.error_code, || "its records".to_owned())?;
        let mut seen = BTreeSet::new();
        for topic in &answer.responses {
            // From version 13 on topics have ids, before they have names.
            let name = topics.iter().find(|(name, known)| {
                topic.topic.0.as_str() == name.as_str()
                    || (!topic.topic_id.is_nil() && topic.topic_id == known.topic_id)
            });
            for data in &topic.partitions {
                let at = TopicPartition {
                    topic: name.map_or_else(String::new, |(name, _)| name.clone()),
                    partition: data.partition_index,
                };
                of.fine(data.error_code, || at.to_string())?;
                if let Some(stretch) = asked.get(&at)
                    && self.take(stretch, data)
                {
                    seen.insert(at);
                }
            }
        }
        if seen.is_empty() {
            let what = now
                .first()
                .map_or_else(String::new, |one| one.at.to_string());
            return Err(of.incomplete(what, "it sends none of the records there are"));
        }
        // Those that got nothing come first, so that one of them gets its whole first batch.
        let (some, mut again): (Vec<_>, Vec<_>) =
            now.into_iter().partition(|one| seen.contains(&one.at));
        again.append(&mut left);
        let hungry = |one: &Stretch| !self.walked.get(one).is_none_or(Walked::has_its_share);
        again.extend(some.into_iter().filter(hungry));
        Ok(again)
    }

    fn request(&self, topics: &Topics, stretches: &[Stretch]) -> FetchRequest {
        let asked = stretches.iter().map(|stretch| {
            let reached = self
                .walked
                .get(stretch)
                .map_or(stretch.start, |one| one.reached);
            let partition = FetchPartition::default()
                .with_partition(stretch.at.partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(reached)
                .with_partition_max_bytes(PARTITION_BYTES);
            let name = &stretch.at.topic;
            let mut topic = FetchTopic::default()
                .with_topic(TopicName(StrBytes::from_string(name.clone())))
                .with_partitions(vec![partition]);
            if let Some(known) = topics.get(name) {
                topic.topic_id = known.topic_id;
            }
            topic
        });
        FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_wait_ms(0)
            .with_min_bytes(0)
            .with_max_bytes(ANSWER_BYTES)
            .with_isolation_level(1)
            .with_session_id(0)
            .with_session_epoch(-1)
            .with_topics(asked.collect())
    }

    /// Adds what was sent; whether that was anything.
    fn take(&mut self, stretch: &Stretch, data: &PartitionData) -> bool {
        let Some(walked) = self.walked.get_mut(stretch) else {
            return false;
        };
        let aborted = data.aborted_transactions.iter().flatten();
        let aborted: Vec<_> = aborted
            .map(|one| (one.producer_id.0, one.first_offset))
            .collect();
        let bytes = data.records.as_deref().unwrap_or_default();
        let seek_oldest = walked.oldest == Oldest::NotThere;
        let found = walk(bytes, &aborted, walked.reached, walked.stable, seek_oldest);
        let went_on = found.reached > walked.reached;
        walked.reached = found.reached;
        walked.bytes = walked.bytes.saturating_add(bytes.len());
        walked.control += found.control;
        walked.aborted += found.aborted;
        if seek_oldest {
            walked.oldest = found.oldest;
        }
        went_on
    }
}
