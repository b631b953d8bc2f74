//! What inventory-service does with a record.

use chrono::{DateTime, Utc};
use kafka_runtime::{Failure, Handler};
use shared_events::{
    Envelope, Event, EventHeaders, PaymentSucceeded, Poison, PoisonClass, ProductId,
};

use crate::store::Store;

/// Reserves stock for each paid order.
pub struct Reservations {
    store: Store,
    poison_product: Option<ProductId>,
}

/// A paid order, and the headers that its answer continues.
pub struct PaidOrder {
    payment: PaymentSucceeded,
    headers: EventHeaders,
}

impl Reservations {
    /// A handler on this store. An order for `poison_product` is set aside: the one rule of the shop that fails on purpose, so
    /// that a dead letter can be looked at, repaired and replayed.
    pub fn new(store: Store, poison_product: Option<ProductId>) -> Self {
        Self {
            store,
            poison_product,
        }
    }
}

impl Handler for Reservations {
    type Work = PaidOrder;

    fn read(&self, paid: Envelope, _at: DateTime<Utc>) -> Result<Option<PaidOrder>, Poison> {
        let Envelope { event, headers } = paid;
        let payment = match event {
            Event::PaymentSucceeded(payment) => payment,
            Event::PaymentFailed(_)
            | Event::PaymentRefunded(_)
            | Event::OrderCreated(_)
            | Event::InventoryReserved(_)
            | Event::InventoryOutOfStock(_) => return Ok(None),
        };
        if self.poison_product.as_ref() == Some(&payment.product_id) {
            let message = format!("{} is the POISON_PRODUCT", payment.product_id);
            return Err(Poison::new(PoisonClass::DomainRule, message));
        }
        Ok(Some(PaidOrder { payment, headers }))
    }

    /// Every record is answered, also the second about an order: what must happen once is the effect, and the store sees to it.
    async fn apply(&self, work: &[&PaidOrder]) -> Result<Vec<Envelope>, Failure> {
        let payments: Vec<_> = work.iter().map(|order| &order.payment).collect();
        let decisions = self.store.decide(&payments).await?;
        let answers = work.iter().zip(decisions);
        Ok(answers
            .map(|(order, decision)| Envelope::answer(&order.headers, decision.event()))
            .collect())
    }
}
