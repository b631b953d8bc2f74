//! The orders of a load. The same seed makes the same orders, byte for byte, apart from timestamps.
//! Two parts of an order's id follow the clock as well: the first 48 bits, which are a timestamp
//! (UUIDv7, RFC 9562), and, where an order must go to a certain partition, the last bits, which are
//! chosen so that the hash of the whole id leads there.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use shared_events::{
    Amount, CorrelationId, CustomerId, Envelope, OrderCreated, OrderId, OutOfBounds, ProductId,
    Quantity, TraceParent,
};
use uuid::Builder;

use crate::key_distribution::PartitionChooser;

/// The number of different customers, unless one is given.
const CUSTOMERS: u64 = 10_000;

/// What all orders of a load have in common.
#[derive(Debug, Clone)]
pub struct OrderSpec {
    /// `None` for one of `load_0000` to `load_9999`.
    pub customer: Option<CustomerId>,
    pub product: ProductId,
    pub quantity: Quantity,
    /// The price of the whole order.
    pub amount: Amount,
}

/// An endless sequence of orders.
#[derive(Debug, Clone)]
pub struct OrderGenerator {
    random: Xoshiro256PlusPlus,
    partitions: PartitionChooser,
    spec: OrderSpec,
    /// Empty if `spec` names a customer.
    customers: Arc<[CustomerId]>,
    /// The customer of every order if `customers` is empty.
    customer: CustomerId,
}

impl OrderGenerator {
    /// The sequence of this seed. The names of the generated customers are within bounds, so it
    /// does not fail.
    pub fn new(
        seed: u64,
        partitions: PartitionChooser,
        spec: OrderSpec,
    ) -> Result<Self, OutOfBounds> {
        let generated = |number| CustomerId::new(format!("load_{number:04}"));
        let (customers, customer) = match &spec.customer {
            Some(customer) => (Arc::default(), customer.clone()),
            None => (
                (0..CUSTOMERS).map(generated).collect::<Result<_, _>>()?,
                generated(0)?,
            ),
        };
        Ok(Self {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            partitions,
            spec,
            customers,
            customer,
        })
    }

    /// Another sequence with the same specification and different orders.
    pub fn fork(&mut self) -> Self {
        Self {
            random: Xoshiro256PlusPlus::seed_from_u64(self.random.next_u64()),
            ..self.clone()
        }
    }

    /// The id and the customer of the next order, made at this time.
    pub fn next_id_and_customer(&mut self, at: DateTime<Utc>) -> (OrderId, &CustomerId) {
        // Every order draws the same count of random numbers, so a timestamp does not change the
        // orders after it.
        let [first, second, customer] = std::array::from_fn(|_| self.random.next_u64());
        let partition = self.partitions.next(&mut self.random);
        let tail = (u128::from(first) << 64) | u128::from(second);
        let id = self.id(at, tail, partition);
        let index = (customer % CUSTOMERS) as usize;
        (id, self.customers.get(index).unwrap_or(&self.customer))
    }

    /// The next order, made at this time.
    pub fn next(&mut self, at: DateTime<Utc>) -> OrderCreated {
        let OrderSpec {
            product,
            quantity,
            amount,
            ..
        } = self.spec.clone();
        let (order_id, customer) = self.next_id_and_customer(at);
        OrderCreated {
            order_id,
            customer_id: customer.clone(),
            product_id: product,
            quantity,
            amount,
            occurred_at: at,
        }
    }

    pub fn spec(&self) -> &OrderSpec {
        &self.spec
    }

    /// The first id, counting up from this tail, whose hash leads to the partition.
    fn id(&self, at: DateTime<Utc>, mut tail: u128, partition: Option<u32>) -> OrderId {
        let milliseconds = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        loop {
            let [.., a, b, c, d, e, f, g, h, i, j] = tail.to_be_bytes();
            let random = [a, b, c, d, e, f, g, h, i, j];
            let uuid = Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
            let mut buffer = uuid::Uuid::encode_buffer();
            let key = uuid.hyphenated().encode_lower(&mut buffer);
            let is_right = |partition| self.partitions.leads_to(key.as_bytes(), partition);
            if partition.is_none_or(is_right) {
                return OrderId::from(uuid);
            }
            tail = tail.wrapping_add(1);
        }
    }
}

/// The event of an order that no order-service has accepted. The saga starts with it all the same:
/// order-service inserts a row for the first fact of an unknown order. The order's id is also the
/// correlation id and the trace id.
pub fn created_event(order: OrderCreated) -> Envelope {
    let id = order.order_id;
    let correlation =
        CorrelationId::new(id.to_string()).unwrap_or_else(|_| CorrelationId::random());
    Envelope::first(order, correlation, TraceParent::root(id.as_uuid()))
}
