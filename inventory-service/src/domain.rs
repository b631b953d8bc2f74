//! The rule of the stock: first come, first served, one decision an order.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use shared_events::{
    Amount, Event, InventoryOutOfStock, InventoryReserved, OrderId, OutOfBounds, PaymentId,
    PaymentSucceeded, ProductId, Quantity,
};

/// How many pieces of a product are there, from 0 to 1 000 000 000: half of what PostgreSQL's `INTEGER` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StockLevel(u32);

impl StockLevel {
    /// What a stock level is, in words.
    pub const LIMIT: OutOfBounds = OutOfBounds("must be a whole number from 0 to 1000000000");

    /// The level, or its bound.
    pub fn new(pieces: u32) -> Result<Self, OutOfBounds> {
        if pieces <= 1_000_000_000 {
            Ok(Self(pieces))
        } else {
            Err(Self::LIMIT)
        }
    }

    /// The number of pieces as PostgreSQL's `INTEGER` takes it.
    pub fn as_i32(self) -> i32 {
        // The bound lies below 2^31, so the cast cannot wrap.
        self.0 as i32
    }
}

impl<'de> Deserialize<'de> for StockLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through the digits, so that 1.5, "2" and 1e400 are answered with the bound and not with a parser's words.
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        let pieces = digits.get().parse();
        pieces
            .map_err(|_| Self::LIMIT)
            .and_then(Self::new)
            .map_err(de::Error::custom)
    }
}

/// How an order ended in the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The pieces were taken.
    Reserved,
    /// Fewer pieces are left than were ordered; none was taken.
    OutOfStock,
    /// There is no such product.
    UnknownProduct,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reserved, Self::OutOfStock, Self::UnknownProduct];

    /// The name in the database and in metrics; of a refusal also the reason that the event gives.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::OutOfStock => "out_of_stock",
            Self::UnknownProduct => "unknown_product",
        }
    }
}

/// What was decided about an order, once and for all. It holds everything that its event says, so that the event can be told
/// again from the decision alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The order.
    pub order_id: OrderId,
    /// Its payment, which a refusal sends back.
    pub payment_id: PaymentId,
    /// What was ordered.
    pub product_id: ProductId,
    /// How many pieces.
    pub quantity: Quantity,
    /// What was paid.
    pub amount: Amount,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was decided.
    pub decided_at: DateTime<Utc>,
}

impl Decision {
    /// The event that tells it: always the same.
    pub fn event(self) -> Event {
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

/// The part of the stock that a batch is about, and what was decided about its orders.
#[derive(Debug, Default)]
pub struct Ledger {
    stock: HashMap<ProductId, u32>,
    decided: HashMap<OrderId, Decision>,
    fresh: Vec<Decision>,
}

impl Ledger {
    /// A ledger with this stock, in which these orders are decided already.
    pub fn new(
        stock: HashMap<ProductId, u32>,
        earlier: impl IntoIterator<Item = Decision>,
    ) -> Self {
        let by_order = |decision: Decision| (decision.order_id, decision);
        Self {
            stock,
            decided: earlier.into_iter().map(by_order).collect(),
            fresh: Vec::new(),
        }
    }

    /// The decision about a paid order: the one taken before, or else one taken now.
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
            outcome: self.take(&paid.product_id, paid.quantity),
            decided_at: now,
        };
        self.decided.insert(paid.order_id, decision.clone());
        self.fresh.push(decision.clone());
        decision
    }

    /// What was decided here and is new, in the order in which it was.
    pub fn fresh(&self) -> &[Decision] {
        &self.fresh
    }

    fn take(&mut self, product: &ProductId, quantity: Quantity) -> Outcome {
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
