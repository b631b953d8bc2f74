//! The promises of the shop, and how each shows in what it did.

mod observed_state;
mod saga;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use shared_events::{Event, OrderId, Topic};

pub use observed_state::{Evidence, OrderRow, Placed, Told};
use saga::sagas;

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every accepted order is known and comes to an end.
    EveryOrderEnds,
    /// A request makes one order, however often it is repeated.
    OneOrderARequest,
    /// An order is paid at most once, with what it costs.
    PaidOnce,
    /// Refunded is what was paid and could not be reserved, all of it and nothing else; and that is what is cancelled.
    RefundedIfCancelled,
    /// What was there is what is left and what was reserved.
    StockAddsUp,
    /// Every event is answered, and order-service knows of every event.
    NothingLost,
    /// An order's event of a type is one event: the same id and the same bytes, however often told.
    OneEvent,
    /// Each record is answered once: as many answers as records.
    AnsweredOnce,
    /// An order is told once.
    CreatedOnce,
    /// Nothing sound is set aside.
    NothingSetAside,
}

/// A broken promise, and where.
#[derive(Debug, Clone)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
}

/// What this test allows.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// A relay was killed, or lost broker or database: it may have told an order again.
    pub told_again: bool,
    /// `DELIVERY=at-least-once`: events may be told again.
    pub answered_again: bool,
    /// Orders that must be in the dead letters of inventory-service, once each, and stay PAID.
    pub set_aside: BTreeSet<OrderId>,
}

impl Violation {
    /// One line each.
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

/// Every broken promise.
pub fn audit(evidence: &Evidence, allowed: &Allowed) -> Vec<Violation> {
    let mut found = Found::default();
    for saga in sagas(evidence, allowed) {
        saga.audit(&mut found);
    }
    one_order_a_request(evidence, &mut found);
    stock_adds_up(evidence, &mut found);
    nothing_set_aside(evidence, allowed, &mut found);
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

/// Every client's request has a customer of its own.
fn one_order_a_request(evidence: &Evidence, found: &mut Found) {
    let mut by_customer = BTreeMap::<&str, BTreeSet<OrderId>>::new();
    for placed in &evidence.placed {
        let orders = by_customer.entry(&placed.customer).or_default();
        orders.insert(placed.order_id);
    }
    for (id, row) in &evidence.orders {
        if let Some(orders) = by_customer.get_mut(&*row.customer) {
            orders.insert(*id);
        }
    }
    for (customer, orders) in by_customer {
        found.unless(orders.len() == 1, Rule::OneOrderARequest, || {
            format!("the request of {customer} made {orders:?}")
        });
    }
}

/// Counted by orders, not by records: a reservation told again is the same one.
fn stock_adds_up(evidence: &Evidence, found: &mut Found) {
    let reserved = evidence
        .told
        .iter()
        .filter_map(|told| match &told.envelope.event {
            Event::InventoryReserved(event) => Some((
                event.order_id,
                (event.product_id.to_string(), event.quantity),
            )),
            _ => None,
        });
    let mut expected = evidence.stock_before.clone();
    for (product, quantity) in reserved.collect::<BTreeMap<_, _>>().into_values() {
        *expected.entry(product).or_default() -= i64::from(quantity.pieces());
    }
    let now = &evidence.stock_now;
    found.unless(expected == *now, Rule::StockAddsUp, || {
        format!("there should be {expected:?}, and there are {now:?}")
    });
}

fn nothing_set_aside(evidence: &Evidence, allowed: &Allowed, found: &mut Found) {
    let mut there: Vec<_> = evidence.set_aside.clone();
    there.sort();
    let expected: Vec<_> = allowed
        .set_aside
        .iter()
        .map(|id| (Topic::InventoryDlq, id.to_string()))
        .collect();
    found.unless(there == expected, Rule::NothingSetAside, || {
        format!("there are {there:?} instead of {expected:?}")
    });
}
