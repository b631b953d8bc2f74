//! The rules that concern one order.

use std::collections::{BTreeMap, BTreeSet};

use shared_events::{Event, EventId, EventType, OrderId};

use crate::{Allowed, Found, ObservedState, OrderRow, PublishedEvent, Rule};

/// One order with its row and its published events.
pub(crate) struct Saga<'e> {
    id: OrderId,
    row: Option<&'e OrderRow>,
    published: BTreeMap<EventType, Vec<&'e PublishedEvent>>,
    allowed: &'e Allowed,
}

/// Every order that appears in a response, in the table or in a topic.
pub(crate) fn sagas<'e>(observed: &'e ObservedState, allowed: &'e Allowed) -> Vec<Saga<'e>> {
    let mut published = BTreeMap::<OrderId, BTreeMap<EventType, Vec<&PublishedEvent>>>::new();
    for one in &observed.published {
        let event = &one.envelope.event;
        let of_order = published.entry(event.order_id()).or_default();
        of_order.entry(event.event_type()).or_default().push(one);
    }
    let answered = observed.accepted.iter().map(|accepted| accepted.order_id);
    let all: BTreeSet<_> = answered
        .chain(observed.orders.keys().copied())
        .chain(published.keys().copied())
        .collect();
    let saga = |id| Saga {
        id,
        row: observed.orders.get(&id),
        published: published.remove(&id).unwrap_or_default(),
        allowed,
    };
    all.into_iter().map(saga).collect()
}

impl Saga<'_> {
    pub(crate) fn audit(&self, found: &mut Found) {
        self.completes(found);
        self.paid_once(found);
        self.refunded_if_cancelled(found);
        self.nothing_lost(found);
        self.one_event_id(found);
        self.one_output_per_record(found);
        self.published_once(found);
    }

    fn count(&self, event: EventType) -> usize {
        self.published.get(&event).map_or(0, Vec::len)
    }

    fn was(&self, event: EventType) -> bool {
        self.count(event) > 0
    }

    fn is_dead_letter(&self) -> bool {
        self.allowed.dead_letters.contains(&self.id)
    }

    fn status(&self) -> &str {
        self.row.map_or("unknown", |row| &row.status)
    }

    fn completes(&self, found: &mut Found) {
        let status = self.status();
        let kept = match status {
            "CONFIRMED" | "CANCELLED" | "FAILED" => !self.is_dead_letter(),
            "PAID" => self.is_dead_letter(),
            _ => false,
        };
        found.unless(kept, Rule::EveryOrderCompletes, || {
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
                "{}: payments {payments:?}, records of PaymentFailed: {}",
                self.id,
                self.count(EventType::PaymentFailed)
            )
        });
    }

    fn refunded_if_cancelled(&self, found: &mut Found) {
        let due = self.was(EventType::PaymentSucceeded) && self.was(EventType::InventoryOutOfStock);
        let refunded = self.was(EventType::PaymentRefunded);
        let amounts: BTreeSet<_> = self
            .published
            .values()
            .flatten()
            .filter_map(|published| match &published.envelope.event {
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
                self.is_dead_letter()
                    || self.was(E::InventoryReserved)
                    || self.was(E::InventoryOutOfStock),
            ),
            (E::InventoryOutOfStock, self.was(E::PaymentRefunded)),
        ];
        found.unless(self.was(E::OrderCreated), Rule::NothingLost, || {
            format!("{}: accepted, and never published", self.id)
        });
        for (event, answered) in followed {
            found.unless(answered || !self.was(event), Rule::NothingLost, || {
                format!("{}: {event} has no follow-up event", self.id)
            });
        }
        let published: BTreeSet<_> = self.published.keys().copied().collect();
        let known = self.row.map(|row| row.facts.clone()).unwrap_or_default();
        found.unless(published == known, Rule::NothingLost, || {
            format!("{}: published {published:?}, facts {known:?}", self.id)
        });
    }

    fn one_event_id(&self, found: &mut Found) {
        for (event, published) in &self.published {
            let ids: BTreeSet<_> = published
                .iter()
                .map(|one| one.envelope.headers.event_id)
                .collect();
            let values: BTreeSet<_> = published.iter().map(|one| &one.value).collect();
            let kept = ids == BTreeSet::from([EventId::of(self.id, *event)]) && values.len() == 1;
            found.unless(kept, Rule::OneEventId, || {
                format!(
                    "{}: {event} with the ids {ids:?} and {} values",
                    self.id,
                    values.len()
                )
            });
        }
    }

    fn one_output_per_record(&self, found: &mut Found) {
        use EventType as E;
        let paid = if self.is_dead_letter() {
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
            // No output at all is reported by NothingLost.
            let kept = answers == records || answers == 0 || self.allowed.duplicate_outputs;
            found.unless(kept, Rule::OneOutputPerRecord, || {
                format!(
                    "{}: records of {event}: {records}, output events: {answers}",
                    self.id
                )
            });
        }
    }

    fn published_once(&self, found: &mut Found) {
        let times = self.count(EventType::OrderCreated);
        found.unless(
            times <= 1 || self.allowed.duplicate_orders,
            Rule::PublishedOnce,
            || format!("{}: OrderCreated was published {times} times", self.id),
        );
    }

    fn events(&self, event: EventType) -> impl Iterator<Item = &Event> {
        let published = self.published.get(&event).into_iter().flatten();
        published.map(|one| &one.envelope.event)
    }
}
