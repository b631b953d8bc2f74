//! What order-service does with a record: it adds the fact to the order, and tells nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use kafka_runtime::{Failure, Handler};
use shared_events::{Envelope, OrderId, Poison};
use sqlx::PgPool;
use tokio::time::timeout;

use crate::domain::Order;
use crate::metrics::Metrics;
use crate::store;

/// Longest time for one batch. PostgreSQL's own time-outs do not count while its processes are frozen, and a member that is
/// away from its loop for 60 s loses its place in the group.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

const OPERATION: &str = "adding facts to orders";

/// Adds the facts of all three topics to the orders.
pub struct OrderFacts {
    pool: PgPool,
    metrics: Metrics,
}

impl OrderFacts {
    /// A handler on this database, which may be away for now. The sagas that end are counted.
    pub fn new(pool: PgPool, metrics: Metrics) -> Self {
        Self { pool, metrics }
    }
}

impl Handler for OrderFacts {
    type Work = Order;

    /// Every event of the saga is a fact, and none can be against a rule: whatever another service tells has happened.
    fn read(&self, told: Envelope, at: DateTime<Utc>) -> Result<Option<Order>, Poison> {
        Ok(Some(Order::told_by(told, at)))
    }

    /// One row an order, since one statement cannot touch a row twice; and one statement for the batch. Adding a fact twice
    /// changes nothing, so neither does a batch that comes again.
    async fn apply(&self, work: &[&Order]) -> Result<Vec<Envelope>, Failure> {
        let orders = merged(work);
        let ends = match timeout(BATCH_TIMEOUT, store::add_and_tell(&self.pool, &orders)).await {
            Ok(added) => added.map_err(|error| Failure::from_database(OPERATION, error))?,
            Err(elapsed) => {
                return Err(Failure::Retryable {
                    operation: OPERATION,
                    source: Box::new(elapsed),
                });
            }
        };
        for end in ends {
            self.metrics.saga(end);
        }
        Ok(Vec::new())
    }
}

/// What a batch tells of each order, sorted by id.
fn merged(work: &[&Order]) -> Vec<Order> {
    let mut orders = BTreeMap::<OrderId, Order>::new();
    for told in work {
        let told = Order::clone(told);
        match orders.get_mut(&told.order_id) {
            Some(known) => known.add(told),
            None => drop(orders.insert(told.order_id, told)),
        }
    }
    orders.into_values().collect()
}
