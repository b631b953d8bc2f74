//! The guarantees of the shop, checked by comparing topics with databases. No service is asked.
//!
//! [`audit`] is a pure function: an [`ObservedState`] in, every [`Violation`] of a [`Rule`] out. Tests kill processes, read the
//! state, and expect no violation; with a protection disabled they expect exactly the rule that the protection guards.

#![deny(missing_docs)]

mod observed_state;
mod saga;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use shared_events::{Event, OrderId, Topic};

pub use observed_state::{AcceptedRequest, ObservedState, OrderRow, PublishedEvent};
use saga::sagas;

/// A guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every accepted order is in the database and reaches a final status.
    EveryOrderCompletes,
    /// A request creates one order, however often it is sent.
    OneOrderPerRequest,
    /// An order is paid at most once, with the amount of the order.
    PaidOnce,
    /// Exactly the orders that were paid and could not be reserved are refunded, in full, and cancelled.
    RefundedIfCancelled,
    /// Initial stock = current stock + reserved pieces.
    StockAddsUp,
    /// Every event has its follow-up event, and order-service has a fact for every event.
    NothingLost,
    /// All records of one event type of an order have the same event id and the same bytes.
    OneEventId,
    /// Each consumed record has one output event.
    OneOutputPerRecord,
    /// `OrderCreated` is published once for each order.
    PublishedOnce,
    /// No valid record is in a dead-letter topic.
    NoUnexpectedDeadLetter,
}

/// A violated rule.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The order or product, and the figures.
    pub what: String,
}

/// Violations that a test expects.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// A relay was killed, or lost broker or database: it may have published `OrderCreated` twice.
    pub duplicate_orders: bool,
    /// `DELIVERY=at-least-once`: output events may be published twice.
    pub duplicate_outputs: bool,
    /// Orders that must be in `inventory.dlq`, once each, and stay PAID.
    pub dead_letters: BTreeSet<OrderId>,
}

impl Violation {
    /// One line for each violation.
    pub fn list(violations: &[Self]) -> String {
        let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// All violations, rule by rule.
pub fn audit(observed: &ObservedState, allowed: &Allowed) -> Vec<Violation> {
    let mut found = Found::default();
    for saga in sagas(observed, allowed) {
        saga.audit(&mut found);
    }
    one_order_per_request(observed, &mut found);
    stock_adds_up(observed, &mut found);
    no_unexpected_dead_letter(observed, allowed, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn unless(&mut self, kept: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !kept {
            self.0.push(Violation { rule, what: what() });
        }
    }
}

/// Relies on each request having its own customer.
fn one_order_per_request(observed: &ObservedState, found: &mut Found) {
    let mut by_customer = BTreeMap::<&str, BTreeSet<OrderId>>::new();
    for accepted in &observed.accepted {
        let orders = by_customer.entry(&accepted.customer).or_default();
        orders.insert(accepted.order_id);
    }
    for (id, row) in &observed.orders {
        if let Some(orders) = by_customer.get_mut(&*row.customer) {
            orders.insert(*id);
        }
    }
    for (customer, orders) in by_customer {
        found.unless(orders.len() == 1, Rule::OneOrderPerRequest, || {
            format!("the request of {customer} created {orders:?}")
        });
    }
}

/// Counts orders, not records: a reservation that was published twice is one reservation.
fn stock_adds_up(observed: &ObservedState, found: &mut Found) {
    let reserved =
        observed
            .published
            .iter()
            .filter_map(|published| match &published.envelope.event {
                Event::InventoryReserved(event) => Some((
                    event.order_id,
                    (event.product_id.to_string(), event.quantity),
                )),
                _ => None,
            });
    let mut expected = observed.stock_before.clone();
    for (product, quantity) in reserved.collect::<BTreeMap<_, _>>().into_values() {
        *expected.entry(product).or_default() -= i64::from(quantity.pieces());
    }
    let now = &observed.stock_now;
    found.unless(expected == *now, Rule::StockAddsUp, || {
        format!("expected stock {expected:?}, found {now:?}")
    });
}

fn no_unexpected_dead_letter(observed: &ObservedState, allowed: &Allowed, found: &mut Found) {
    let mut found_now: Vec<_> = observed.dead_letters.clone();
    found_now.sort();
    let expected: Vec<_> = allowed
        .dead_letters
        .iter()
        .map(|id| (Topic::InventoryDlq, id.to_string()))
        .collect();
    found.unless(found_now == expected, Rule::NoUnexpectedDeadLetter, || {
        format!("expected dead letters {expected:?}, found {found_now:?}")
    });
}
