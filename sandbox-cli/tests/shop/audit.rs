//! The promises of the shop, and how each shows in what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use shared_events::{Event, EventId, EventType, OrderId};

use super::evidence::{Evidence, OrderRow, Told};

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

/// One order with all that was told of it.
struct Saga<'e> {
    id: OrderId,
    row: Option<&'e OrderRow>,
    told: BTreeMap<EventType, Vec<&'e Told>>,
    allowed: &'e Allowed,
}

/// Every broken promise.
pub fn audit(evidence: &Evidence, allowed: &Allowed) -> Vec<Violation> {
    let mut found = Found::default();
    for saga in sagas(evidence, allowed) {
        saga.ends(&mut found);
        saga.paid_once(&mut found);
        saga.refunded_if_cancelled(&mut found);
        saga.nothing_lost(&mut found);
        saga.one_event(&mut found);
        saga.answered_once(&mut found);
        saga.created_once(&mut found);
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

fn sagas<'e>(evidence: &'e Evidence, allowed: &'e Allowed) -> Vec<Saga<'e>> {
    let mut told = BTreeMap::<OrderId, BTreeMap<EventType, Vec<&Told>>>::new();
    for one in &evidence.told {
        let event = &one.envelope.event;
        let of_order = told.entry(event.order_id()).or_default();
        of_order.entry(event.event_type()).or_default().push(one);
    }
    let answered = evidence.placed.iter().map(|placed| placed.order_id);
    let all: BTreeSet<_> = answered
        .chain(evidence.orders.keys().copied())
        .chain(told.keys().copied())
        .collect();
    let saga = |id| Saga {
        id,
        row: evidence.orders.get(&id),
        told: told.remove(&id).unwrap_or_default(),
        allowed,
    };
    all.into_iter().map(saga).collect()
}

impl Saga<'_> {
    fn count(&self, event: EventType) -> usize {
        self.told.get(&event).map_or(0, Vec::len)
    }

    fn was(&self, event: EventType) -> bool {
        self.count(event) > 0
    }

    fn is_set_aside(&self) -> bool {
        self.allowed.set_aside.contains(&self.id)
    }

    fn status(&self) -> &str {
        self.row.map_or("unknown", |row| &row.status)
    }

    fn ends(&self, found: &mut Found) {
        let status = self.status();
        let kept = match status {
            "CONFIRMED" | "CANCELLED" | "FAILED" => !self.is_set_aside(),
            "PAID" => self.is_set_aside(),
            _ => false,
        };
        found.unless(kept, Rule::EveryOrderEnds, || {
            format!("{} is {status}", self.id)
        });
    }

    fn paid_once(&self, found: &mut Found) {
        let payments: BTreeSet<_> = self
            .events(EventType::PaymentSucceeded)
            .filter_map(|event| match event {
                Event::PaymentSucceeded(paid) => {
                    Some((paid.payment_id.as_uuid(), paid.amount.to_string()))
                }
                _ => None,
            })
            .collect();
        let costs = self
            .events(EventType::OrderCreated)
            .find_map(|event| match event {
                Event::OrderCreated(order) => Some(order.amount.to_string()),
                _ => None,
            });
        let kept = match payments.iter().next() {
            None => true,
            Some((_, amount)) => {
                payments.len() == 1
                    && costs.is_none_or(|costs| costs == *amount)
                    && !self.was(EventType::PaymentFailed)
            }
        };
        found.unless(kept, Rule::PaidOnce, || {
            format!(
                "{}: payments {payments:?}, declined {} times",
                self.id,
                self.count(EventType::PaymentFailed)
            )
        });
    }

    fn refunded_if_cancelled(&self, found: &mut Found) {
        let due = self.was(EventType::PaymentSucceeded) && self.was(EventType::InventoryOutOfStock);
        let refunded = self.was(EventType::PaymentRefunded);
        let amounts: BTreeSet<_> = self
            .told
            .values()
            .flatten()
            .filter_map(|told| match &told.envelope.event {
                Event::PaymentSucceeded(paid) => Some(paid.amount.to_string()),
                Event::PaymentRefunded(back) => Some(back.amount.to_string()),
                _ => None,
            })
            .collect();
        let cancelled = self.status() == "CANCELLED";
        let kept = due == refunded
            && refunded == cancelled
            && amounts.len() <= 1
            && !(refunded && self.was(EventType::InventoryReserved));
        found.unless(kept, Rule::RefundedIfCancelled, || {
            format!(
                "{}: to be refunded {due}, refunded {refunded}, amounts {amounts:?}, {}",
                self.id,
                self.status()
            )
        });
    }

    fn nothing_lost(&self, found: &mut Found) {
        use EventType as E;
        let followed = [
            (
                E::OrderCreated,
                self.was(E::PaymentSucceeded) || self.was(E::PaymentFailed),
            ),
            (
                E::PaymentSucceeded,
                self.is_set_aside()
                    || self.was(E::InventoryReserved)
                    || self.was(E::InventoryOutOfStock),
            ),
            (E::InventoryOutOfStock, self.was(E::PaymentRefunded)),
        ];
        found.unless(self.was(E::OrderCreated), Rule::NothingLost, || {
            format!("{}: accepted, and nobody was told", self.id)
        });
        for (event, answered) in followed {
            found.unless(answered || !self.was(event), Rule::NothingLost, || {
                format!("{}: {event} was not answered", self.id)
            });
        }
        let told: BTreeSet<_> = self.told.keys().copied().collect();
        let known = self.row.map(|row| row.facts.clone()).unwrap_or_default();
        found.unless(told == known, Rule::NothingLost, || {
            format!("{}: told {told:?}, known {known:?}", self.id)
        });
    }

    fn one_event(&self, found: &mut Found) {
        for (event, told) in &self.told {
            let ids: BTreeSet<_> = told
                .iter()
                .map(|one| one.envelope.headers.event_id)
                .collect();
            let values: BTreeSet<_> = told.iter().map(|one| &one.value).collect();
            let kept = ids == BTreeSet::from([EventId::of(self.id, *event)]) && values.len() == 1;
            found.unless(kept, Rule::OneEvent, || {
                format!(
                    "{}: {event} with the ids {ids:?} and {} values",
                    self.id,
                    values.len()
                )
            });
        }
    }

    fn answered_once(&self, found: &mut Found) {
        use EventType as E;
        let paid = if self.is_set_aside() {
            0
        } else {
            self.count(E::PaymentSucceeded)
        };
        let counts = [
            (
                E::OrderCreated,
                self.count(E::OrderCreated),
                self.count(E::PaymentSucceeded) + self.count(E::PaymentFailed),
            ),
            (
                E::PaymentSucceeded,
                paid,
                self.count(E::InventoryReserved) + self.count(E::InventoryOutOfStock),
            ),
            (
                E::InventoryOutOfStock,
                self.count(E::InventoryOutOfStock),
                self.count(E::PaymentRefunded),
            ),
        ];
        for (event, records, answers) in counts {
            // None at all is something lost, and said there.
            let kept = answers == records || answers == 0 || self.allowed.answered_again;
            found.unless(kept, Rule::AnsweredOnce, || {
                format!(
                    "{}: {records} records of {event} have {answers} answers",
                    self.id
                )
            });
        }
    }

    fn created_once(&self, found: &mut Found) {
        let times = self.count(EventType::OrderCreated);
        found.unless(
            times <= 1 || self.allowed.told_again,
            Rule::CreatedOnce,
            || format!("{}: told {times} times", self.id),
        );
    }

    fn events(&self, event: EventType) -> impl Iterator<Item = &Event> {
        let told = self.told.get(&event).into_iter().flatten();
        told.map(|one| &one.envelope.event)
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
        .map(|id| (shared_events::Topic::InventoryDlq, id.to_string()))
        .collect();
    found.unless(there == expected, Rule::NothingSetAside, || {
        format!("there are {there:?} instead of {expected:?}")
    });
}
