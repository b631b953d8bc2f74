//! Reads the topics: every committed record as an item.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use futures::future::try_join_all;
use kafka_admin::Cluster;
use kafka_admin::dead_letters::{DeadLetter, DeadLetterState, each_dead_letter};
use kafka_admin::records::{MissingOffsets, Query, Record, Start};
use rust_decimal::prelude::ToPrimitive;
use shared_events::headers::dead_letter::REPLAY_FOR;
use shared_events::{
    Amount, Decoded, Envelope, Event, EventId, NamePrefix, OrderId, PaymentId, ProductId, Quantity,
    Service, Topic,
};

use crate::item::{
    DeadLetterRecord, EventRecord, Fact, Goods, Item, LetterState, OtherRecord, Place, Replayed,
    Subject, hash,
};
use crate::item_files::ItemFiles;
use crate::order_history::question_of;
use crate::positions::{EVENT_TOPICS, Positions, created_ms, retry_topics};

/// Records of an order may be this much older than the time in its id: clocks of producers differ. Milliseconds.
const CLOCK_SLACK_MS: i64 = 60_000;

/// Where the items of databases and topics go.
#[derive(Clone)]
pub(crate) struct ItemSink {
    files: Arc<ItemFiles>,
    /// Orders that were created earlier are left out. Milliseconds since 1970.
    since_ms: i64,
}

impl ItemSink {
    pub fn new(files: ItemFiles, since_ms: i64) -> Self {
        Self {
            files: Arc::new(files),
            since_ms,
        }
    }

    pub fn add(&self, item: Item) {
        self.files.add(item);
    }

    /// The files; `None` while a reader still has a clone.
    pub fn into_files(self) -> Option<ItemFiles> {
        Arc::into_inner(self.files)
    }

    /// Whether the audit is about this order, or about a record without an order of this time.
    fn is_wanted(&self, subject: Subject, timestamp_ms: Option<i64>) -> bool {
        let time = match subject.is_order {
            true => Some(created_ms(OrderId::from(uuid::Uuid::from_u128(subject.id)))),
            false => timestamp_ms,
        };
        time.is_none_or(|time| time >= self.since_ms)
    }

    /// Reads the topics of events, and those of records to be tried again, up to their ends: all topics at the same time, each on a
    /// thread of its own.
    pub async fn read_events(&self, cluster: &Cluster) -> Result<Vec<ReadTopic>> {
        let all = EVENT_TOPICS.into_iter().chain(retry_topics());
        try_join_all(all.map(|topic| self.read_topic(cluster, topic))).await
    }

    async fn read_topic(&self, cluster: &Cluster, topic: Topic) -> Result<ReadTopic> {
        let query = Query {
            start: match self.since_ms {
                0 => Start::Beginning,
                since => Start::Time((since - CLOCK_SLACK_MS).max(0)),
            },
            ..Query::default()
        };
        let read = Arc::new(Mutex::new(ReadTopic::new(topic)));
        let (noted, sink, prefix) = (Arc::clone(&read), self.clone(), cluster.prefix().clone());
        let on_record = move |record: Record| {
            lock(&noted).note(&record);
            let item = record_item(topic, &record, &prefix);
            if sink.is_wanted(item.subject, record.timestamp_ms) {
                sink.add(item);
            }
        };
        let name = [cluster.prefix().topic(topic)];
        let missing = cluster.read_each(&name, &query, on_record).await?;
        Ok(lock(&read).with_missing(missing))
    }

    /// Reads the dead-letter topics up to their ends, one after the other: they are short.
    pub async fn read_dead_letters(&self, cluster: &Cluster) -> Result<Vec<ReadTopic>> {
        let mut read = Vec::new();
        for service in Service::ALL {
            let topic = service.dead_letter_topic();
            read.push(self.read_dead_letter_topic(cluster, topic).await?);
        }
        Ok(read)
    }

    async fn read_dead_letter_topic(&self, cluster: &Cluster, topic: Topic) -> Result<ReadTopic> {
        let read = Arc::new(Mutex::new(ReadTopic::new(topic)));
        let (noted, sink, prefix) = (Arc::clone(&read), self.clone(), cluster.prefix().clone());
        let on_letter = move |letter: DeadLetter| {
            let mut noted = lock(&noted);
            noted.note(&letter.record);
            let (item, is_left_out) = letter_item(topic, &letter, &prefix);
            if let (Fact::DeadLetter(one), true) = (item.fact, is_left_out) {
                noted.left_out.extend(one.group.zip(one.original));
            } else if sink.is_wanted(item.subject, letter.record.timestamp_ms) {
                sink.add(item);
            }
        };
        let missing = each_dead_letter(cluster, topic, on_letter).await?;
        Ok(lock(&read).with_missing(missing))
    }
}

/// What the reading of a topic has shown, beside its records.
#[derive(Clone)]
pub(crate) struct ReadTopic {
    topic: Topic,
    /// The oldest record of each partition: its offset and its timestamp.
    oldest: BTreeMap<i32, (i64, Option<i64>)>,
    missing: Vec<MissingOffsets>,
    /// See [`Positions::left_out`].
    left_out: Vec<(Service, Place)>,
}

impl ReadTopic {
    fn new(topic: Topic) -> Self {
        Self {
            topic,
            oldest: BTreeMap::new(),
            missing: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn note(&mut self, record: &Record) {
        let this = (record.offset, record.timestamp_ms);
        self.oldest.entry(record.partition).or_insert(this);
    }

    fn with_missing(&self, missing: Vec<MissingOffsets>) -> Self {
        Self {
            missing,
            ..self.clone()
        }
    }

    /// Adds it to the positions. `now_ms` is the time before which an emptied partition has lost all its records.
    ///
    /// Orders that are older than the oldest record of a partition may have had records that were deleted.
    pub fn keep(self, positions: &mut Positions, now_ms: i64) {
        for (partition, (offset, _)) in &self.oldest {
            positions
                .first_read
                .insert((self.topic, *partition), *offset);
        }
        for one in &self.missing {
            let left = self.oldest.get(&one.partition).and_then(|(_, time)| *time);
            let before = positions.deleted_before.entry(self.topic).or_default();
            *before = (*before).max(left.unwrap_or(now_ms));
        }
        positions.left_out.extend(self.left_out);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place(topic: Topic, record: &Record) -> Place {
    Place {
        topic,
        partition: record.partition,
        offset: record.offset,
    }
}

/// The order of the record's key; otherwise the record itself.
fn subject(place: Place, key: Option<&[u8]>) -> Subject {
    let key = key.and_then(|key| std::str::from_utf8(key).ok());
    let order = key.and_then(|key| key.parse::<OrderId>().ok());
    order.map_or_else(|| Subject::place(place), Subject::order)
}

pub(crate) fn record_item(topic: Topic, record: &Record, prefix: &NamePrefix) -> Item {
    let place = place(topic, record);
    let subject = subject(place, record.key.as_deref());
    if !EVENT_TOPICS.contains(&topic) {
        return Item {
            subject,
            fact: Fact::Retry(place),
        };
    }
    let replayed_for = replayed_for(record, prefix);
    let other = |unknown_type| {
        Fact::Other(OtherRecord {
            place,
            replayed_for,
            unknown_type,
        })
    };
    let fact = match record.decode() {
        Ok(Decoded::Event(envelope)) => {
            Fact::Event(event_record(&envelope, place, record, replayed_for))
        }
        Ok(Decoded::UnknownType(_)) => other(true),
        Err(_) => other(false),
    };
    Item { subject, fact }
}

fn replayed_for(record: &Record, prefix: &NamePrefix) -> Replayed {
    let named = record.header_pairs().rfind(|(name, _)| *name == REPLAY_FOR);
    let Some((_, group)) = named else {
        return Replayed::No;
    };
    let mut all = Service::ALL.into_iter();
    let found = all.find(|service| group == Some(prefix.group(*service).as_bytes()));
    found.map_or(Replayed::ForAnother, Replayed::For)
}

fn event_record(
    envelope: &Envelope,
    place: Place,
    record: &Record,
    replayed_for: Replayed,
) -> EventRecord {
    let event = envelope.event.event_type();
    let order = envelope.event.order_id();
    let (goods, amount, payment) = content(&envelope.event);
    let cause = question_of(event).map(|question| EventId::of(order, question).as_uuid());
    EventRecord {
        event,
        place,
        timestamp_ms: record.timestamp_ms.unwrap_or_default(),
        id_ok: envelope.headers.event_id == EventId::of(order, event),
        cause_ok: cause.is_none_or(|cause| envelope.headers.causation_id == cause),
        payment_ok: payment.is_none_or(|payment| payment == PaymentId::of(order)),
        replayed_for,
        body: hash(record.value.as_deref().unwrap_or_default()),
        goods,
        cents: amount.map(cents).unwrap_or_default(),
    }
}

/// What the audit compares of an event.
fn content(event: &Event) -> (Goods, Option<Amount>, Option<PaymentId>) {
    let none = Goods::default();
    match event {
        Event::OrderCreated(one) => (goods(&one.product_id, one.quantity), Some(one.amount), None),
        Event::PaymentSucceeded(one) => (
            goods(&one.product_id, one.quantity),
            Some(one.amount),
            Some(one.payment_id),
        ),
        Event::PaymentFailed(one) => (none, Some(one.amount), None),
        Event::InventoryReserved(one) => (goods(&one.product_id, one.quantity), None, None),
        Event::InventoryOutOfStock(one) => (
            goods(&one.product_id, one.quantity),
            Some(one.amount),
            Some(one.payment_id),
        ),
        Event::PaymentRefunded(one) => (none, Some(one.amount), Some(one.payment_id)),
    }
}

fn goods(product: &ProductId, quantity: Quantity) -> Goods {
    Goods {
        product: hash(product.as_str()),
        quantity: u16::try_from(quantity.pieces()).unwrap_or(u16::MAX),
    }
}

/// An amount has two decimals, so its digits are the cents.
fn cents(amount: Amount) -> u32 {
    amount.as_decimal().mantissa().to_u32().unwrap_or(u32::MAX)
}

/// The item, and whether the dead letter has neither key nor value.
fn letter_item(topic: Topic, letter: &DeadLetter, prefix: &NamePrefix) -> (Item, bool) {
    let at = place(topic, &letter.record);
    let headers = letter.headers.as_ref().ok();
    let original = headers.and_then(|headers| {
        Some(Place {
            topic: prefix.topic_of(&headers.original_topic)?,
            partition: headers.original_partition,
            offset: headers.original_offset,
        })
    });
    let group = headers.and_then(|headers| {
        let mut all = Service::ALL.into_iter();
        all.find(|service| prefix.group(*service) == headers.consumer_group)
    });
    let record = DeadLetterRecord {
        place: at,
        original,
        group,
        state: match letter.state {
            DeadLetterState::Waiting(_) => LetterState::Waiting,
            DeadLetterState::Replayed => LetterState::Replayed,
            DeadLetterState::Discarded { .. } => LetterState::Discarded,
        },
    };
    let item = Item {
        subject: subject(original.unwrap_or(at), letter.record.key.as_deref()),
        fact: Fact::DeadLetter(record),
    };
    (item, letter.is_left_out())
}
