//! What topics and databases say about an order, as items. `item_bytes.rs` stores them.
//!
//! Texts and bodies are kept as hashes, since the audit only compares them.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use shared_events::{EventType, OrderId, Service, Topic};

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
    pub(crate) const ALL: [Self; 7] = [
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
    pub(crate) const ALL: [Self; 3] = [Self::Waiting, Self::Replayed, Self::Discarded];
}

impl Replayed {
    pub(crate) const ALL: [Self; 5] = [
        Self::No,
        Self::ForAnother,
        Self::For(Service::Order),
        Self::For(Service::Payment),
        Self::For(Service::Inventory),
    ];
}
