//! What inventory-service does with a record: it reserves stock for a paid order.

use chrono::{DateTime, Utc};
use kafka_runtime::{Applied, Failure, Handler};
use shared_events::{
    Envelope, Event, EventHeaders, PaymentSucceeded, Poison, PoisonClass, ProductId,
};

use crate::store::Store;

/// Responds to `PaymentSucceeded` with `InventoryReserved` or `InventoryOutOfStock`.
pub struct InventoryHandler {
    store: Store,
    poison_product: Option<ProductId>,
}

/// A payment, and the headers that its response continues.
pub struct PaidOrder {
    payment: PaymentSucceeded,
    headers: EventHeaders,
}

impl InventoryHandler {
    /// An order for `poison_product` is poison: the one rule that fails on purpose, so that there
    /// is a dead letter to inspect, repair and replay.
    pub fn new(store: Store, poison_product: Option<ProductId>) -> Self {
        Self {
            store,
            poison_product,
        }
    }
}

impl Handler for InventoryHandler {
    type Work = PaidOrder;

    fn read(&self, envelope: Envelope, _at: DateTime<Utc>) -> Result<Option<PaidOrder>, Poison> {
        let Envelope { event, headers } = envelope;
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

    /// Every record gets a response, a repeated one too. Only the stock must be taken once, and
    /// [`Store::decide`] guarantees that.
    async fn apply(&self, work: &[&PaidOrder]) -> Result<Applied, Failure> {
        let payments: Vec<_> = work.iter().map(|order| &order.payment).collect();
        let decisions = self.store.decide(&payments).await?;
        let decided = work.iter().zip(decisions);
        let events = decided
            .map(|(order, decision)| Envelope::answer(&order.headers, decision.into_event()));
        Ok(Applied::Events(events.collect()))
    }
}
