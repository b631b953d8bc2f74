//! What the shop has done, as topics and databases show it.

use std::collections::{BTreeMap, BTreeSet};

use shared_events::{Envelope, EventType, OrderId, Topic};

/// Everything the audit looks at.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What clients were answered.
    pub placed: Vec<Placed>,
    /// The table of orders.
    pub orders: BTreeMap<OrderId, OrderRow>,
    /// Every committed record of the three topics.
    pub told: Vec<Told>,
    /// What is in the dead-letter topics: the topic, and the record's key.
    pub set_aside: Vec<(Topic, String)>,
    /// By product: what was there at first and was added by hand.
    pub stock_before: BTreeMap<String, i64>,
    /// By product: what is there now.
    pub stock_now: BTreeMap<String, i64>,
}

/// An order as order-service keeps it.
#[derive(Debug, Clone)]
pub struct OrderRow {
    pub customer: String,
    pub status: String,
    /// The events it knows of.
    pub facts: BTreeSet<EventType>,
}

/// An event in a topic.
#[derive(Debug, Clone)]
pub struct Told {
    pub envelope: Envelope,
    pub value: Vec<u8>,
}

/// A request that was answered with an order.
#[derive(Debug, Clone)]
pub struct Placed {
    pub customer: String,
    pub order_id: OrderId,
    /// The order was there already: an earlier attempt had made it, and its answer was lost.
    pub repeated: bool,
    /// Attempts to which no answer came at all.
    pub cut_off: usize,
}
