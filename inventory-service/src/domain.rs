//! The rule of the stock: first come, first served, and one decision for each order.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use shared_events::{
    Amount, Event, InventoryOutOfStock, InventoryReserved, OrderId, OutOfBounds, PaymentId,
    PaymentSucceeded, ProductId, Quantity,
};

/// The pieces of a product in stock, from 0 to 1 000 000 000: half of what PostgreSQL's `INTEGER`
/// holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StockLevel(u32);

impl StockLevel {
    pub const LIMIT: OutOfBounds = OutOfBounds("must be a whole number from 0 to 1000000000");

    pub fn new(pieces: u32) -> Result<Self, OutOfBounds> {
        if pieces <= 1_000_000_000 {
            Ok(Self(pieces))
        } else {
            Err(Self::LIMIT)
        }
    }

    /// For PostgreSQL's `INTEGER`.
    pub fn as_i32(self) -> i32 {
        // The limit is below 2^31, so the cast cannot wrap.
        self.0 as i32
    }
}

impl<'de> Deserialize<'de> for StockLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Parsed from the JSON text, so that the error for 1.5, "2" and 1e400 is the limit and not
        // serde's text.
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        let pieces = digits.get().parse();
        pieces
            .map_err(|_| Self::LIMIT)
            .and_then(Self::new)
            .map_err(de::Error::custom)
    }
}

/// The result of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The pieces were taken from the stock.
    Reserved,
    /// Fewer pieces are left than were ordered; none is taken.
    OutOfStock,
    UnknownProduct,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Reserved, Self::OutOfStock, Self::UnknownProduct];

    /// The name in the database and in metrics, and the `reason` of an `InventoryOutOfStock`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::OutOfStock => "out_of_stock",
            Self::UnknownProduct => "unknown_product",
        }
    }
}

/// The final decision about an order. It holds every field of its event, so that the event can be
/// made again from the decision alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub order_id: OrderId,
    /// The payment to refund if the order is out of stock.
    pub payment_id: PaymentId,
    pub product_id: ProductId,
    pub quantity: Quantity,
    /// The amount of the payment.
    pub amount: Amount,
    pub outcome: Outcome,
    pub decided_at: DateTime<Utc>,
}

impl Decision {
    /// The event that reports this decision. Equal decisions have equal events, byte for byte.
    pub fn into_event(self) -> Event {
        match self.outcome {
            Outcome::Reserved => Event::InventoryReserved(InventoryReserved {
                order_id: self.order_id,
                product_id: self.product_id,
                quantity: self.quantity,
                occurred_at: self.decided_at,
            }),
            Outcome::OutOfStock | Outcome::UnknownProduct => {
                Event::InventoryOutOfStock(InventoryOutOfStock {
                    order_id: self.order_id,
                    payment_id: self.payment_id,
                    product_id: self.product_id,
                    quantity: self.quantity,
                    amount: self.amount,
                    reason: self.outcome.name().to_owned(),
                    occurred_at: self.decided_at,
                })
            }
        }
    }
}

/// The stock of the products in a batch, and the decisions about its orders.
#[derive(Debug, Default)]
pub struct Ledger {
    stock: HashMap<ProductId, u32>,
    decided: HashMap<OrderId, Decision>,
    new_decisions: Vec<Decision>,
}

impl Ledger {
    /// `earlier` are the decisions that are stored already.
    pub fn new(
        stock: HashMap<ProductId, u32>,
        earlier: impl IntoIterator<Item = Decision>,
    ) -> Self {
        let by_order = |decision: Decision| (decision.order_id, decision);
        Self {
            stock,
            decided: earlier.into_iter().map(by_order).collect(),
            new_decisions: Vec::new(),
        }
    }

    /// The decision about a paid order: the earlier one if there is one, else a new one that takes
    /// the stock.
    pub fn decide(&mut self, paid: &PaymentSucceeded, now: DateTime<Utc>) -> Decision {
        if let Some(earlier) = self.decided.get(&paid.order_id) {
            return earlier.clone();
        }
        let decision = Decision {
            order_id: paid.order_id,
            payment_id: paid.payment_id,
            product_id: paid.product_id.clone(),
            quantity: paid.quantity,
            amount: paid.amount,
            outcome: self.take_stock(&paid.product_id, paid.quantity),
            decided_at: now,
        };
        self.decided.insert(paid.order_id, decision.clone());
        self.new_decisions.push(decision.clone());
        decision
    }

    /// The decisions to store, in the order in which they were made.
    pub fn new_decisions(&self) -> &[Decision] {
        &self.new_decisions
    }

    fn take_stock(&mut self, product: &ProductId, quantity: Quantity) -> Outcome {
        let Some(left) = self.stock.get_mut(product) else {
            return Outcome::UnknownProduct;
        };
        let Some(rest) = left.checked_sub(quantity.pieces()) else {
            return Outcome::OutOfStock;
        };
        *left = rest;
        Outcome::Reserved
    }
}

#[cfg(test)]
mod tests;
