//! What topics and databases say about an order, as items of one fixed size: [`Item::to_bytes`] and [`Item::from_bytes`].
//!
//! Texts and bodies are kept as hashes, since the audit only compares them.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::{Buf, BufMut};
use shared_events::{EventType, OrderId, Service, Topic};

/// The size of an item, bytes.
pub(crate) const ITEM_BYTES: usize = 64;

/// The position of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

/// What was ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Goods {
    pub product: u64,
    pub quantity: u16,
}

/// A record of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventRecord {
    pub event: EventType,
    pub place: Place,
    pub timestamp_ms: i64,
    /// Whether the event id is the function of order and event type that it must be.
    pub id_ok: bool,
    /// Whether the causation id is the id of the event that this one answers.
    pub cause_ok: bool,
    /// Whether the payment id is that of the order. True for events without one.
    pub payment_ok: bool,
    /// The group that a replay has published the record for.
    pub replayed_for: Replayed,
    /// The hash of the value.
    pub body: u64,
    /// The default for events without product and quantity.
    pub goods: Goods,
    /// 0 for an event without an amount.
    pub cents: u32,
}

/// Whether a record was published by a replay of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replayed {
    No,
    For(Service),
    /// For a group that is none of the shop's.
    ForAnother,
}

/// A row of the table `orders`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrderRow {
    /// Bit n is set if the row has the fact of `EventType::ALL[n]`.
    pub facts: u8,
    pub status: Status,
    /// `None` while `OrderCreated` is unknown.
    pub ordered: Option<(Goods, u32)>,
    /// False if the row has a payment id and it is not that of the order.
    pub payment_ok: bool,
}

/// The column `orders.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Paid,
    Refunding,
    Confirmed,
    Cancelled,
    Failed,
    /// A text that this release does not know.
    Unknown,
}

/// A row of the table `decisions` of inventory-service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub reserved: bool,
    pub goods: Goods,
}

/// A record of a dead-letter topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeadLetterRecord {
    pub place: Place,
    /// The record that it names; `None` if its headers name no record of the shop.
    pub original: Option<Place>,
    pub group: Option<Service>,
    pub state: LetterState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetterState {
    Waiting,
    Replayed,
    Discarded,
}

/// A record of an event topic that is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OtherRecord {
    pub place: Place,
    pub replayed_for: Replayed,
    /// Whether every service skips it, because a newer release may have published it. Otherwise it is poison.
    pub unknown_type: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A client has received the order's id.
    AcceptedByClient,
    Row(OrderRow),
    /// A row of the outbox.
    Outbox,
    Decision(Decision),
    Event(EventRecord),
    Other(OtherRecord),
    /// A record of a topic that holds records to be tried again later.
    Retry(Place),
    DeadLetter(DeadLetterRecord),
}

/// A fact, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub subject: Subject,
    pub fact: Fact,
}

/// An order; or a record whose key is no order id, by the hash of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subject {
    pub id: u128,
    pub is_order: bool,
}

impl Subject {
    pub fn order(order: OrderId) -> Self {
        Self {
            id: order.as_uuid().as_u128(),
            is_order: true,
        }
    }

    pub fn place(place: Place) -> Self {
        let topic = place.topic.name();
        Self {
            id: u128::from(hash(&(topic, place.partition, place.offset))),
            is_order: false,
        }
    }
}

pub(crate) fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Status {
    const ALL: [Self; 7] = [
        Self::Pending,
        Self::Paid,
        Self::Refunding,
        Self::Confirmed,
        Self::Cancelled,
        Self::Failed,
        Self::Unknown,
    ];
}

impl LetterState {
    const ALL: [Self; 3] = [Self::Waiting, Self::Replayed, Self::Discarded];
}

impl Replayed {
    const ALL: [Self; 5] = [
        Self::No,
        Self::ForAnother,
        Self::For(Service::Order),
        Self::For(Service::Payment),
        Self::For(Service::Inventory),
    ];
}

/// The number of a value in the list of all values.
fn index<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let found = all.iter().position(|one| one == value);
    found
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}

fn at_index<T: Copy>(all: &[T], index: u8) -> Option<T> {
    all.get(usize::from(index)).copied()
}

fn put_place(to: &mut impl BufMut, place: Place) {
    to.put_u8(index(&Topic::ALL, &place.topic));
    to.put_i32(place.partition);
    to.put_i64(place.offset);
}

fn get_place(from: &mut impl Buf) -> Option<Place> {
    let (topic, partition, offset) = (from.get_u8(), from.get_i32(), from.get_i64());
    Some(Place {
        topic: at_index(&Topic::ALL, topic)?,
        partition,
        offset,
    })
}

fn put_goods(to: &mut impl BufMut, goods: Goods) {
    to.put_u64(goods.product);
    to.put_u16(goods.quantity);
}

fn get_goods(from: &mut impl Buf) -> Goods {
    Goods {
        product: from.get_u64(),
        quantity: from.get_u16(),
    }
}

fn flags(flags: &[bool]) -> u8 {
    let bits = flags.iter().enumerate();
    bits.fold(0, |all, (bit, set)| all | (u8::from(*set) << bit))
}

impl Item {
    /// Appends the item to a buffer, [`ITEM_BYTES`] long.
    pub fn to_bytes(self, to: &mut Vec<u8>) {
        let end = to.len() + ITEM_BYTES;
        to.put_u128(self.subject.id);
        to.put_u8(self.subject.is_order.into());
        match self.fact {
            Fact::AcceptedByClient => to.put_u8(0),
            Fact::Row(row) => {
                to.put_u8(1);
                put_row(to, row);
            }
            Fact::Outbox => to.put_u8(2),
            Fact::Decision(decision) => {
                to.put_u8(3);
                to.put_u8(decision.reserved.into());
                put_goods(to, decision.goods);
            }
            Fact::Event(event) => {
                to.put_u8(4);
                put_event(to, event);
            }
            Fact::Other(other) => {
                to.put_u8(5);
                put_place(to, other.place);
                to.put_u8(index(&Replayed::ALL, &other.replayed_for));
                to.put_u8(other.unknown_type.into());
            }
            Fact::Retry(place) => {
                to.put_u8(6);
                put_place(to, place);
            }
            Fact::DeadLetter(letter) => {
                to.put_u8(7);
                put_letter(to, letter);
            }
        }
        to.resize(end, 0);
    }

    /// Reads what [`Self::to_bytes`] has written. `None` if these are other bytes.
    pub fn from_bytes(mut from: &[u8]) -> Option<Self> {
        if from.len() != ITEM_BYTES {
            return None;
        }
        let from = &mut from;
        let subject = Subject {
            id: from.get_u128(),
            is_order: from.get_u8() != 0,
        };
        let fact = match from.get_u8() {
            0 => Fact::AcceptedByClient,
            1 => Fact::Row(get_row(from)?),
            2 => Fact::Outbox,
            3 => Fact::Decision(Decision {
                reserved: from.get_u8() != 0,
                goods: get_goods(from),
            }),
            4 => Fact::Event(get_event(from)?),
            5 => Fact::Other(OtherRecord {
                place: get_place(from)?,
                replayed_for: at_index(&Replayed::ALL, from.get_u8())?,
                unknown_type: from.get_u8() != 0,
            }),
            6 => Fact::Retry(get_place(from)?),
            7 => Fact::DeadLetter(get_letter(from)?),
            _ => return None,
        };
        Some(Self { subject, fact })
    }
}

fn put_row(to: &mut impl BufMut, row: OrderRow) {
    let (goods, cents) = row.ordered.unwrap_or_default();
    to.put_u8(row.facts);
    to.put_u8(index(&Status::ALL, &row.status));
    to.put_u8(flags(&[row.ordered.is_some(), row.payment_ok]));
    put_goods(to, goods);
    to.put_u32(cents);
}

fn get_row(from: &mut impl Buf) -> Option<OrderRow> {
    let (facts, status, flags) = (from.get_u8(), from.get_u8(), from.get_u8());
    let ordered = (get_goods(from), from.get_u32());
    Some(OrderRow {
        facts,
        status: at_index(&Status::ALL, status)?,
        ordered: (flags & 1 != 0).then_some(ordered),
        payment_ok: flags & 2 != 0,
    })
}

fn put_event(to: &mut impl BufMut, event: EventRecord) {
    to.put_u8(index(&EventType::ALL, &event.event));
    put_place(to, event.place);
    to.put_i64(event.timestamp_ms);
    to.put_u8(flags(&[event.id_ok, event.cause_ok, event.payment_ok]));
    to.put_u8(index(&Replayed::ALL, &event.replayed_for));
    to.put_u64(event.body);
    put_goods(to, event.goods);
    to.put_u32(event.cents);
}

fn get_event(from: &mut impl Buf) -> Option<EventRecord> {
    let event = at_index(&EventType::ALL, from.get_u8())?;
    let place = get_place(from)?;
    let (timestamp_ms, flags) = (from.get_i64(), from.get_u8());
    Some(EventRecord {
        event,
        place,
        timestamp_ms,
        id_ok: flags & 1 != 0,
        cause_ok: flags & 2 != 0,
        payment_ok: flags & 4 != 0,
        replayed_for: at_index(&Replayed::ALL, from.get_u8())?,
        body: from.get_u64(),
        goods: get_goods(from),
        cents: from.get_u32(),
    })
}

fn put_letter(to: &mut impl BufMut, letter: DeadLetterRecord) {
    put_place(to, letter.place);
    to.put_u8(letter.original.is_some().into());
    put_place(to, letter.original.unwrap_or(letter.place));
    let group = letter.group.map(|group| index(&Service::ALL, &group));
    to.put_u8(group.unwrap_or(u8::MAX));
    to.put_u8(index(&LetterState::ALL, &letter.state));
}

fn get_letter(from: &mut impl Buf) -> Option<DeadLetterRecord> {
    let place = get_place(from)?;
    let is_named = from.get_u8() != 0;
    let original = get_place(from)?;
    Some(DeadLetterRecord {
        place,
        original: is_named.then_some(original),
        group: at_index(&Service::ALL, from.get_u8()),
        state: at_index(&LetterState::ALL, from.get_u8())?,
    })
}
