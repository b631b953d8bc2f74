//! The promises that are about one order.

use std::collections::{BTreeMap, BTreeSet};

use shared_events::{Event, EventId, EventType, OrderId};

use crate::{Allowed, Found, Rule};
use crate::{Evidence, OrderRow, Told};

/// One order with all that was told of it.
pub(crate) struct Saga<'e> {
    id: OrderId,
    row: Option<&'e OrderRow>,
    told: BTreeMap<EventType, Vec<&'e Told>>,
    allowed: &'e Allowed,
}

/// Every order that a client, a table or a topic knows of.
pub(crate) fn sagas<'e>(evidence: &'e Evidence, allowed: &'e Allowed) -> Vec<Saga<'e>> {
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
    /// The promises that are about one order.
    pub(crate) fn audit(&self, found: &mut Found) {
        self.ends(found);
        self.paid_once(found);
        self.refunded_if_cancelled(found);
        self.nothing_lost(found);
        self.one_event(found);
        self.answered_once(found);
        self.created_once(found);
    }

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
