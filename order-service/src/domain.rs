//! What an order is: a set of facts, and a status that is a function of the set. Pure.
//!
//! The events of an order arrive on three topics. They overtake one another, they arrive twice, and
//! the first to arrive need not be `OrderCreated`. A state machine would have to reject or reorder
//! them. A set has no order and holds nothing twice: facts are only ever added, and the status is
//! computed from all of them. So the final status does not depend on when, or how often, an event
//! arrives.
//!
//! [`Facts::status`] is the specification of the saga.

mod order;
mod saga_outcome;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use shared_events::EventType;
use shared_events::http_api::OrderStatus;

pub use order::Order;
pub use saga_outcome::SagaOutcome;

/// What has happened to an order, with the time of the first record that reported each fact.
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

impl Facts {
    /// The status of an order with these facts. The column `orders.status` computes the same in
    /// SQL; a test compares the two on every set of facts.
    pub fn status(&self) -> OrderStatus {
        let Self {
            created: _,
            paid,
            payment_failed,
            reserved,
            out_of_stock,
            refunded,
        } = self;
        match (refunded, payment_failed, reserved, out_of_stock, paid) {
            (Some(_), _, _, _, _) => OrderStatus::Cancelled,
            (None, Some(_), _, _, _) => OrderStatus::Failed,
            (None, None, Some(_), _, _) => OrderStatus::Confirmed,
            (None, None, None, Some(_), _) => OrderStatus::Refunding,
            (None, None, None, None, Some(_)) => OrderStatus::Paid,
            (None, None, None, None, None) => OrderStatus::Pending,
        }
    }

    /// The single fact that an event reports.
    pub fn from_event(event: EventType, at: DateTime<Utc>) -> Self {
        let mut facts = Self::default();
        *facts.time_mut(event) = Some(at);
        facts
    }

    /// Adds the facts of another set. A fact that is already known keeps its first time.
    pub fn merge(&mut self, other: &Self) {
        for (event, at) in other.iter() {
            self.time_mut(event).get_or_insert(at);
        }
    }

    /// The known facts, in the order of the saga's steps.
    pub fn iter(&self) -> impl Iterator<Item = (EventType, DateTime<Utc>)> {
        EventType::ALL
            .into_iter()
            .filter_map(|event| self.time(event).map(|at| (event, at)))
    }

    /// When this fact was first reported, if it is known.
    pub fn time(&self, event: EventType) -> Option<DateTime<Utc>> {
        match event {
            EventType::OrderCreated => self.created,
            EventType::PaymentSucceeded => self.paid,
            EventType::PaymentFailed => self.payment_failed,
            EventType::InventoryReserved => self.reserved,
            EventType::InventoryOutOfStock => self.out_of_stock,
            EventType::PaymentRefunded => self.refunded,
        }
    }

    fn time_mut(&mut self, event: EventType) -> &mut Option<DateTime<Utc>> {
        match event {
            EventType::OrderCreated => &mut self.created,
            EventType::PaymentSucceeded => &mut self.paid,
            EventType::PaymentFailed => &mut self.payment_failed,
            EventType::InventoryReserved => &mut self.reserved,
            EventType::InventoryOutOfStock => &mut self.out_of_stock,
            EventType::PaymentRefunded => &mut self.refunded,
        }
    }

    /// The time of the latest fact, while the saga has not ended.
    pub fn waiting_since(&self) -> Option<DateTime<Utc>> {
        let latest = self.iter().map(|(_, at)| at).max();
        latest.filter(|_| !self.status().is_final())
    }
}
