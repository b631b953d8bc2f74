//! What order-service does with a record: it adds the fact to the order. It publishes nothing in
//! return.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use kafka_runtime::{Applied, Failure, Handler};
use shared_events::{Envelope, OrderId, Poison};
use sqlx::PgPool;
use tokio::time::timeout;

use crate::domain::Order;
use crate::metrics::Metrics;
use crate::store;

/// How long the write of one batch may take. PostgreSQL's own time-outs do not count while its
/// processes are frozen, and a member that does not poll for 60 s is removed from its group.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

const OPERATION: &str = "adding facts to orders";

/// Adds the facts of all three topics to the orders, and counts the sagas that they complete.
pub struct OrderHandler {
    pool: PgPool,
    metrics: Metrics,
}

impl OrderHandler {
    /// The database need not be up yet: a batch fails and is retried until it is.
    pub fn new(pool: PgPool, metrics: Metrics) -> Self {
        Self { pool, metrics }
    }
}

impl Handler for OrderHandler {
    type Work = Order;

    /// Every event of the saga is a fact, and no fact is poison: whatever another service reports
    /// has happened.
    fn read(&self, event: Envelope, at: DateTime<Utc>) -> Result<Option<Order>, Poison> {
        Ok(Some(Order::from_event(event, at)))
    }

    /// One statement for the batch, with one row for each order, because one statement cannot
    /// update a row twice. A repeated fact changes nothing, so a retried batch changes nothing
    /// either.
    async fn apply(&self, work: &[&Order]) -> Result<Applied, Failure> {
        let orders = merge_by_order(work);
        let upsert = store::upsert_returning_completed(&self.pool, &orders);
        let completed = match timeout(BATCH_TIMEOUT, upsert).await {
            Ok(result) => result.map_err(|error| Failure::from_database(OPERATION, error))?,
            Err(elapsed) => {
                return Err(Failure::Retryable {
                    operation: OPERATION,
                    source: Box::new(elapsed),
                });
            }
        };
        for outcome in completed {
            self.metrics.count_saga(outcome);
        }
        Ok(Applied::Events(Vec::new()))
    }
}

/// What a batch says about each order, sorted by id.
fn merge_by_order(work: &[&Order]) -> Vec<Order> {
    let mut orders = BTreeMap::<OrderId, Order>::new();
    for order in work {
        let order = Order::clone(order);
        match orders.get_mut(&order.order_id) {
            Some(known) => known.merge(order),
            None => drop(orders.insert(order.order_id, order)),
        }
    }
    orders.into_values().collect()
}
