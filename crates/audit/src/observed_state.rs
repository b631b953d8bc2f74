//! What the shop has done, read from topics and databases.

use std::collections::{BTreeMap, BTreeSet};

use shared_events::{Envelope, EventType, OrderId, Topic};

/// The input of the audit.
#[derive(Debug, Clone, Default)]
pub struct ObservedState {
    /// Requests that a client got an order for.
    pub accepted: Vec<AcceptedRequest>,
    /// The table `orders` of order-service.
    pub orders: BTreeMap<OrderId, OrderRow>,
    /// Every committed record of `orders`, `payments` and `inventory`.
    pub published: Vec<PublishedEvent>,
    /// Records of the dead-letter topics: topic and record key.
    pub dead_letters: Vec<(Topic, String)>,
    /// Stock of each product at the beginning, including what was added by hand. Pieces.
    pub stock_before: BTreeMap<String, i64>,
    /// Stock of each product now. Pieces.
    pub stock_now: BTreeMap<String, i64>,
}

/// A row of the table `orders`.
#[derive(Debug, Clone)]
pub struct OrderRow {
    /// The customer id.
    pub customer: String,
    /// The status column.
    pub status: String,
    /// The event types of the facts that are set.
    pub facts: BTreeSet<EventType>,
}

/// A record of an event topic.
#[derive(Debug, Clone)]
pub struct PublishedEvent {
    /// The decoded event with its headers.
    pub envelope: Envelope,
    /// The record's value, byte for byte.
    pub value: Vec<u8>,
}

/// A request that was answered with an order.
#[derive(Debug, Clone)]
pub struct AcceptedRequest {
    /// The customer id; each request of a test has its own.
    pub customer: String,
    /// The order of the response.
    pub order_id: OrderId,
    /// An earlier attempt created the order and its response was lost.
    pub repeated: bool,
    /// The number of attempts without a response.
    pub unanswered_attempts: usize,
}
