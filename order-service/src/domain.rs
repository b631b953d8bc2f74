//! What an order is: a set of facts, and what follows from it. Pure.
//!
//! The events of an order come on different topics. They overtake one another, they come twice, and they may come before
//! anything else is known of the order. A state machine would have to refuse or to reorder them. A set has no order and holds
//! nothing twice: facts are only ever added, and the status is *one function* of the set. So whatever comes when, it ends alike.
//!
//! [`Facts::status`] is the specification of the saga.

mod ended;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use shared_events::{
    Amount, CorrelationId, CustomerId, Envelope, Event, EventType, OrderId, OutOfBounds, PaymentId,
    ProductId, Quantity,
};

pub use ended::Ended;

/// What has happened to an order, with the time at which each was told first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// `OrderCreated`
    pub created: Option<DateTime<Utc>>,
    /// `PaymentSucceeded`
    pub paid: Option<DateTime<Utc>>,
    /// `PaymentFailed`
    pub payment_failed: Option<DateTime<Utc>>,
    /// `InventoryReserved`
    pub reserved: Option<DateTime<Utc>>,
    /// `InventoryOutOfStock`
    pub out_of_stock: Option<DateTime<Utc>>,
    /// `PaymentRefunded`
    pub refunded: Option<DateTime<Utc>>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Accepted; the card is not charged yet.
    Pending,
    /// Charged; the pieces are not reserved yet.
    Paid,
    /// Out of stock; the money is not back yet.
    Refunding,
    /// Charged and reserved. An end.
    Confirmed,
    /// Out of stock, and the money is back. An end.
    Cancelled,
    /// Declined; nothing was charged. An end.
    Failed,
}

/// Every story a saga can tell. What it has told so far is always some part of one of them, since events overtake one another.
const STORIES: [&[EventType]; 3] = {
    use EventType::{
        InventoryOutOfStock, InventoryReserved, OrderCreated, PaymentFailed, PaymentRefunded,
        PaymentSucceeded,
    };
    [
        &[OrderCreated, PaymentSucceeded, InventoryReserved],
        &[
            OrderCreated,
            PaymentSucceeded,
            InventoryOutOfStock,
            PaymentRefunded,
        ],
        &[OrderCreated, PaymentFailed],
    ]
};

impl Facts {
    /// The one fact that an event tells.
    pub fn told_by(event: EventType, at: DateTime<Utc>) -> Self {
        let mut facts = Self::default();
        *facts.slot(event) = Some(at);
        facts
    }

    /// Where an order with these facts stands.
    pub fn status(&self) -> Status {
        let Self {
            created: _,
            paid,
            payment_failed,
            reserved,
            out_of_stock,
            refunded,
        } = self;
        match (refunded, payment_failed, reserved, out_of_stock, paid) {
            (Some(_), _, _, _, _) => Status::Cancelled,
            (None, Some(_), _, _, _) => Status::Failed,
            (None, None, Some(_), _, _) => Status::Confirmed,
            (None, None, None, Some(_), _) => Status::Refunding,
            (None, None, None, None, Some(_)) => Status::Paid,
            (None, None, None, None, None) => Status::Pending,
        }
    }

    /// Adds what another set knows. What is known already stays as it was: the first time counts.
    pub fn add(&mut self, other: &Self) {
        for (event, at) in other.told() {
            self.slot(event).get_or_insert(at);
        }
    }

    /// The facts there are, in the order of the story.
    pub fn told(&self) -> impl Iterator<Item = (EventType, DateTime<Utc>)> {
        EventType::ALL
            .into_iter()
            .filter_map(|event| self.at(event).map(|at| (event, at)))
    }

    /// When this was told first.
    pub fn at(&self, event: EventType) -> Option<DateTime<Utc>> {
        match event {
            EventType::OrderCreated => self.created,
            EventType::PaymentSucceeded => self.paid,
            EventType::PaymentFailed => self.payment_failed,
            EventType::InventoryReserved => self.reserved,
            EventType::InventoryOutOfStock => self.out_of_stock,
            EventType::PaymentRefunded => self.refunded,
        }
    }

    fn slot(&mut self, event: EventType) -> &mut Option<DateTime<Utc>> {
        match event {
            EventType::OrderCreated => &mut self.created,
            EventType::PaymentSucceeded => &mut self.paid,
            EventType::PaymentFailed => &mut self.payment_failed,
            EventType::InventoryReserved => &mut self.reserved,
            EventType::InventoryOutOfStock => &mut self.out_of_stock,
            EventType::PaymentRefunded => &mut self.refunded,
        }
    }

    /// Whether no saga can have told these facts of one order, such as reserved *and* out of stock. It is a fault somewhere, to
    /// be seen and counted; the status is still the function's.
    pub fn impossible(&self) -> bool {
        let part_of = |story: &[EventType]| self.told().all(|(event, _)| story.contains(&event));
        !STORIES.into_iter().any(part_of)
    }

    /// Since when nothing has happened, if the saga has not ended: the time of the last fact.
    pub fn waiting_since(&self) -> Option<DateTime<Utc>> {
        let last = self.told().map(|(_, at)| at).max();
        last.filter(|_| !self.status().is_end())
    }
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Paid,
        Self::Refunding,
        Self::Confirmed,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Refunding => "REFUNDING",
            Self::Confirmed => "CONFIRMED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }

    /// The events of which one must come next; none at an end.
    pub const fn waits_for(self) -> &'static [EventType] {
        match self {
            Self::Pending => &[EventType::PaymentSucceeded, EventType::PaymentFailed],
            Self::Paid => &[EventType::InventoryReserved, EventType::InventoryOutOfStock],
            Self::Refunding => &[EventType::PaymentRefunded],
            Self::Confirmed | Self::Cancelled | Self::Failed => &[],
        }
    }

    /// Whether the saga has ended.
    pub const fn is_end(self) -> bool {
        self.waits_for().is_empty()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Status {
    type Err = OutOfBounds;

    fn from_str(name: &str) -> Result<Self, OutOfBounds> {
        let known = Self::ALL.into_iter().find(|status| status.name() == name);
        known.ok_or(OutOfBounds(
            "must be PENDING, PAID, REFUNDING, CONFIRMED, CANCELLED or FAILED",
        ))
    }
}

/// All that is known of one order. Only its id is known for certain; the rest comes with the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which order.
    pub order_id: OrderId,
    /// What has happened to it.
    pub facts: Facts,
    /// Who ordered.
    pub customer_id: Option<CustomerId>,
    /// What was ordered.
    pub product_id: Option<ProductId>,
    /// How many pieces.
    pub quantity: Option<Quantity>,
    /// What it costs.
    pub amount: Option<Amount>,
    /// The client's name for the request.
    pub correlation_id: Option<CorrelationId>,
    /// The payment, once there is one.
    pub payment_id: Option<PaymentId>,
    /// Why it failed or was cancelled.
    pub failure_reason: Option<String>,
}

impl Order {
    /// What one event tells of its order.
    pub fn told_by(told: Envelope, at: DateTime<Utc>) -> Self {
        let Envelope { event, headers } = told;
        let mut order = Self {
            order_id: event.order_id(),
            facts: Facts::told_by(event.event_type(), at),
            customer_id: None,
            product_id: None,
            quantity: None,
            amount: None,
            correlation_id: Some(headers.correlation_id),
            payment_id: None,
            failure_reason: None,
        };
        match event {
            Event::OrderCreated(event) => {
                order.customer_id = Some(event.customer_id);
                order.ordered(event.product_id, event.quantity);
                order.amount = Some(event.amount);
            }
            Event::PaymentSucceeded(event) => {
                order.paid(event.payment_id, event.amount);
                order.ordered(event.product_id, event.quantity);
            }
            Event::PaymentFailed(event) => {
                order.amount = Some(event.amount);
                order.failure_reason = Some(event.reason);
            }
            Event::InventoryReserved(event) => order.ordered(event.product_id, event.quantity),
            Event::InventoryOutOfStock(event) => {
                order.paid(event.payment_id, event.amount);
                order.ordered(event.product_id, event.quantity);
                order.failure_reason = Some(event.reason);
            }
            Event::PaymentRefunded(event) => {
                order.paid(event.payment_id, event.amount);
                order.failure_reason = Some(event.reason);
            }
        }
        order
    }

    fn ordered(&mut self, product: ProductId, quantity: Quantity) {
        self.product_id = Some(product);
        self.quantity = Some(quantity);
    }

    fn paid(&mut self, payment: PaymentId, amount: Amount) {
        self.payment_id = Some(payment);
        self.amount = Some(amount);
    }

    /// Adds what is known of the same order from elsewhere. What is known already stays.
    pub fn add(&mut self, other: Self) {
        fn keep<T>(known: &mut Option<T>, told: Option<T>) {
            if known.is_none() {
                *known = told;
            }
        }
        self.facts.add(&other.facts);
        keep(&mut self.customer_id, other.customer_id);
        keep(&mut self.product_id, other.product_id);
        keep(&mut self.quantity, other.quantity);
        keep(&mut self.amount, other.amount);
        keep(&mut self.correlation_id, other.correlation_id);
        keep(&mut self.payment_id, other.payment_id);
        keep(&mut self.failure_reason, other.failure_reason);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn facts(told: &[EventType]) -> Facts {
        let mut facts = Facts::default();
        for (second, event) in (0..).zip(told) {
            facts.add(&Facts::told_by(*event, time(second)));
        }
        facts
    }

    #[test]
    fn every_story_ends_as_it_should() {
        let ends = STORIES.map(|story| facts(story).status());
        assert_eq!(ends, [Status::Confirmed, Status::Cancelled, Status::Failed]);
    }

    #[test]
    fn an_unfinished_order_says_what_it_waits_for_and_since_when() {
        use EventType::{
            InventoryOutOfStock, OrderCreated, PaymentFailed, PaymentRefunded, PaymentSucceeded,
        };
        let created = facts(&[OrderCreated]);
        assert_eq!(
            created.status().waits_for(),
            [PaymentSucceeded, PaymentFailed]
        );
        assert_eq!(created.waiting_since(), Some(time(0)));
        let refunding = facts(&[OrderCreated, PaymentSucceeded, InventoryOutOfStock]);
        assert_eq!(refunding.status().waits_for(), [PaymentRefunded]);
        assert_eq!(refunding.waiting_since(), Some(time(2)));
        assert_eq!(facts(STORIES[0]).waiting_since(), None);
    }

    #[test]
    fn what_an_order_waits_for_continues_its_story() {
        for story in STORIES {
            for told in 1..story.len() {
                let waits_for = facts(&story[..told]).status().waits_for();
                assert!(waits_for.contains(&story[told]), "{story:?} after {told}");
            }
        }
    }

    #[test]
    fn only_what_no_story_holds_is_impossible() {
        for mask in 0..64_u32 {
            let told: Vec<_> = EventType::ALL
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| mask & (1 << bit) != 0)
                .map(|(_, event)| event)
                .collect();
            let has = |event| told.contains(&event);
            let paid = has(EventType::PaymentSucceeded) || has(EventType::InventoryReserved);
            let refused = has(EventType::InventoryOutOfStock) || has(EventType::PaymentRefunded);
            let expected = has(EventType::PaymentFailed) && (paid || refused)
                || has(EventType::InventoryReserved) && refused;
            assert_eq!(facts(&told).impossible(), expected, "{told:?}");
        }
    }

    #[test]
    fn the_first_time_a_fact_is_told_counts() {
        let mut facts = Facts::told_by(EventType::OrderCreated, time(5));
        facts.add(&Facts::told_by(EventType::OrderCreated, time(1)));
        assert_eq!(facts.created, Some(time(5)));
    }

    /// Every order in which some of the six can be told, each once.
    fn permutations(begin: Vec<EventType>, all: &mut Vec<Vec<EventType>>) {
        for event in EventType::ALL {
            if !begin.contains(&event) {
                let mut longer = begin.clone();
                longer.push(event);
                permutations(longer, all);
            }
        }
        all.push(begin);
    }

    #[test]
    fn facts_end_alike_in_every_order() {
        let mut all = Vec::new();
        permutations(Vec::new(), &mut all);
        assert_eq!(all.len(), 1957);
        for told in all {
            let mut sorted = told.clone();
            sorted.sort();
            let (one, other) = (facts(&told), facts(&sorted));
            assert_eq!(
                (one.status(), one.impossible()),
                (other.status(), other.impossible()),
                "{told:?}"
            );
            assert!(one.told().map(|(event, _)| event).eq(sorted), "{told:?}");
        }
    }

    fn some_told_again_and_shuffled() -> impl Strategy<Value = (Vec<EventType>, Vec<EventType>)> {
        let some = prop::sample::subsequence(EventType::ALL.to_vec(), 1..=6);
        some.prop_flat_map(|told| {
            let again = prop::collection::vec(prop::sample::select(told.clone()), 0..12);
            let all = again.prop_map({
                let told = told.clone();
                move |again| [told.clone(), again].concat()
            });
            (Just(told), all.prop_shuffle())
        })
    }

    proptest! {
        #[test]
        fn facts_end_alike_however_often_they_are_told((told, again) in some_told_again_and_shuffled()) {
            let (one, other) = (facts(&told), facts(&again));
            prop_assert_eq!(one.status(), other.status());
            prop_assert_eq!(one.impossible(), other.impossible());
            prop_assert!(one.told().map(|(event, _)| event).eq(other.told().map(|(event, _)| event)));
        }
    }
}
