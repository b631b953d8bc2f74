//! The orders of a load. The same seed gives the same orders, byte for byte, apart from time stamps; and the first 48 bits of
//! an order's id (UUIDv7, RFC 9562) are one. Where an order has to go to a certain partition, the last bits of its id are such that
//! the hash of the whole, time stamp included, leads there: these follow the clock, too.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use shared_events::{
    Amount, CorrelationId, CustomerId, Envelope, OrderCreated, OrderId, OutOfBounds, ProductId,
    Quantity, TraceParent,
};
use uuid::Builder;

use crate::keys::Keys;

/// How many customers there are, if none is named.
const CUSTOMERS: u64 = 10_000;

/// What every order of a load asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Who orders; one of ten thousand, if nobody is named.
    pub customer: Option<CustomerId>,
    /// What.
    pub product: ProductId,
    /// How many pieces.
    pub quantity: Quantity,
    /// What the whole order costs.
    pub amount: Amount,
}

/// An endless row of orders.
#[derive(Debug, Clone)]
pub struct Orders {
    random: Xoshiro256PlusPlus,
    keys: Keys,
    wanted: Wanted,
    /// Who orders, by turns; if nobody, the first is meant.
    customers: Arc<[CustomerId]>,
    first: CustomerId,
}

/// A body of `POST /orders`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder<'a> {
    customer_id: &'a CustomerId,
    product_id: &'a ProductId,
    quantity: Quantity,
    amount: Amount,
}

impl Orders {
    /// The orders of this seed. No name of a customer is out of bounds, so that it does not fail.
    pub fn new(seed: u64, keys: Keys, wanted: Wanted) -> Result<Self, OutOfBounds> {
        let one = |number| CustomerId::new(format!("load_{number:04}"));
        let (customers, first) = match &wanted.customer {
            Some(named) => (Arc::default(), named.clone()),
            None => ((0..CUSTOMERS).map(one).collect::<Result<_, _>>()?, one(0)?),
        };
        Ok(Self {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            keys,
            wanted,
            customers,
            first,
        })
    }

    /// Another row of the same kind, which has no order in common with this one.
    pub fn fork(&mut self) -> Self {
        Self {
            random: Xoshiro256PlusPlus::seed_from_u64(self.random.next_u64()),
            ..self.clone()
        }
    }

    /// Who makes the next order, and the id of it, at this time.
    pub fn draw(&mut self, at: DateTime<Utc>) -> (OrderId, &CustomerId) {
        // As many numbers for each order, whatever comes of them: else a time stamp would change the orders after it.
        let [first, second, customer] = std::array::from_fn(|_| self.random.next_u64());
        let partition = self.keys.next(&mut self.random);
        let tail = (u128::from(first) << 64) | u128::from(second);
        let id = self.id(at, tail, partition);
        let turn = customer % CUSTOMERS;
        (id, self.customers.get(turn as usize).unwrap_or(&self.first))
    }

    /// The next order, made at this time.
    pub fn next(&mut self, at: DateTime<Utc>) -> OrderCreated {
        let Wanted {
            product,
            quantity,
            amount,
            ..
        } = self.wanted.clone();
        let (order_id, customer) = self.draw(at);
        OrderCreated {
            order_id,
            customer_id: customer.clone(),
            product_id: product,
            quantity,
            amount,
            occurred_at: at,
        }
    }

    /// What every order asks for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The first id from this tail on that leads to the partition.
    fn id(&self, at: DateTime<Utc>, mut tail: u128, partition: Option<u32>) -> OrderId {
        let milliseconds = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        loop {
            let [.., a, b, c, d, e, f, g, h, i, j] = tail.to_be_bytes();
            let random = [a, b, c, d, e, f, g, h, i, j];
            let uuid = Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
            let mut buffer = uuid::Uuid::encode_buffer();
            let key = uuid.hyphenated().encode_lower(&mut buffer);
            if partition.is_none_or(|partition| self.keys.leads_to(key.as_bytes(), partition)) {
                return OrderId::from(uuid);
            }
            tail = tail.wrapping_add(1);
        }
    }
}

/// The event of an order that no service has accepted: the saga begins with it all the same, since facts make rows. The order's
/// id is also the name of the request and of the trace.
pub fn event(order: OrderCreated) -> Envelope {
    let id = order.order_id;
    let correlation =
        CorrelationId::new(id.to_string()).unwrap_or_else(|_| CorrelationId::random());
    Envelope::first(order, correlation, TraceParent::root(id.as_uuid()))
}

impl<'a> From<&'a OrderCreated> for NewOrder<'a> {
    fn from(order: &'a OrderCreated) -> Self {
        Self {
            customer_id: &order.customer_id,
            product_id: &order.product_id,
            quantity: order.quantity,
            amount: order.amount,
        }
    }
}
