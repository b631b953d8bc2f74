//! The decisions in PostgreSQL, and how an order has its effect on the stock once.
//!
//! A batch may come again at any time: after a crash, after an outage, or to another instance while this one still works on
//! it. [`Store::decide`] therefore does four things in one transaction, and their order is the guarantee:
//!
//! 1. **Lock** the stock rows of the batch, in product order. From here on nobody else decides about these products. One order
//!    for everybody, or two instances would wait for each other.
//! 2. **Look up** what is decided already, in a statement of its own: under `READ COMMITTED` a statement sees what was
//!    committed when *it* began, and so this one sees what the holder of the lock before us has decided. Asked together with
//!    the lock, it would not.
//! 3. **Decide** the rest, in Kafka's order ([`Ledger`]).
//! 4. **Write** decisions and stock, plainly. An unknown product has no row to lock, so there two instances can still meet.
//!    Then the second one's insert violates the primary key: it rolls back, the batch comes again, and finds the decision.
//!    `ON CONFLICT DO NOTHING` would hide this, and take from the stock what somebody else has taken.
//!
//! What is told is always the stored decision. So a crash between this transaction and the telling changes nothing: the batch
//! comes again, nothing is decided, and the same events are told.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{SubsecRound, Utc};
use kafka_runtime::{Failure, Faults, Protection};
use shared_events::{
    Amount, OrderId, OutOfBounds, PaymentId, PaymentSucceeded, ProductId, Quantity,
};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, PgPool, Row};
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::{Decision, Ledger, Outcome};
use crate::metrics::Metrics;

/// Longest time for one batch. PostgreSQL's own time-outs do not count while its processes are frozen, and a member that is
/// away from its loop for 60 s loses its place in the group.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

const OPERATION: &str = "reserving stock";

/// The decisions, and the stock they are about.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    faults: Faults,
    metrics: Metrics,
}

impl Store {
    /// A store in this database. It may be away for now.
    pub fn new(pool: PgPool, faults: Faults, metrics: Metrics) -> Self {
        Self {
            pool,
            faults,
            metrics,
        }
    }

    /// Decides about the paid orders, each order once, and returns the decision about each payment in the order given. See the
    /// module for what makes it so. Bounded at 15 s.
    pub async fn decide(&self, payments: &[&PaymentSucceeded]) -> Result<Vec<Decision>, Failure> {
        let timer = self.metrics.batch_seconds.start_timer();
        let (decisions, ledger) = match timeout(BATCH_TIMEOUT, self.transaction(payments)).await {
            Ok(done) => done.map_err(|error| Failure::from_database(OPERATION, error))?,
            Err(elapsed) => {
                return Err(Failure::Retryable {
                    operation: OPERATION,
                    source: Box::new(elapsed),
                });
            }
        };
        timer.observe_duration();
        self.metrics.count(&decisions, ledger.fresh());
        Ok(decisions)
    }

    async fn transaction(
        &self,
        payments: &[&PaymentSucceeded],
    ) -> Result<(Vec<Decision>, Ledger), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let stock = lock_stock(&mut transaction, payments).await?;
        let earlier = if self.faults.keeps(Protection::IdempotentEffect) {
            earlier_decisions(&mut transaction, payments).await?
        } else {
            forget_decisions(&mut transaction, payments).await?
        };
        let mut ledger = Ledger::new(stock, earlier);
        // PostgreSQL keeps microseconds: with more, the event told first would differ from the same one told again.
        let now = Utc::now().trunc_subsecs(6);
        let decisions = payments
            .iter()
            .map(|paid| ledger.decide(paid, now))
            .collect();
        if !ledger.fresh().is_empty() {
            insert(&mut transaction, ledger.fresh()).await?;
            take_from_stock(&mut transaction, ledger.fresh()).await?;
        }
        transaction.commit().await?;
        Ok((decisions, ledger))
    }
}

async fn lock_stock(
    connection: &mut PgConnection,
    payments: &[&PaymentSucceeded],
) -> Result<HashMap<ProductId, u32>, sqlx::Error> {
    let mut products: Vec<_> = payments
        .iter()
        .map(|paid| paid.product_id.as_str())
        .collect();
    products.sort_unstable();
    products.dedup();
    let rows: Vec<(String, i32)> = sqlx::query_as(
        "SELECT product_id, quantity FROM products WHERE product_id = ANY($1)
         ORDER BY product_id FOR NO KEY UPDATE",
    )
    .bind(products)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(product, quantity)| {
            Ok((
                ProductId::new(product).map_err(decode)?,
                u32::try_from(quantity).map_err(decode)?,
            ))
        })
        .collect()
}

async fn earlier_decisions(
    connection: &mut PgConnection,
    payments: &[&PaymentSucceeded],
) -> Result<Vec<Decision>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM decisions WHERE order_id = ANY($1)")
        .bind(order_ids(payments))
        .fetch_all(connection)
        .await
}

/// What happens with [`Protection::IdempotentEffect`] off: each time is the first.
async fn forget_decisions(
    connection: &mut PgConnection,
    payments: &[&PaymentSucceeded],
) -> Result<Vec<Decision>, sqlx::Error> {
    sqlx::query("DELETE FROM decisions WHERE order_id = ANY($1)")
        .bind(order_ids(payments))
        .execute(connection)
        .await?;
    Ok(Vec::new())
}

async fn insert(connection: &mut PgConnection, fresh: &[Decision]) -> Result<(), sqlx::Error> {
    fn column<T>(fresh: &[Decision], field: impl Fn(&Decision) -> T) -> Vec<T> {
        fresh.iter().map(field).collect()
    }
    // In the order of the key: two instances that insert the same orders then wait for one another in one direction only.
    sqlx::query(
        "INSERT INTO decisions (order_id, payment_id, product_id, quantity, amount, outcome, decided_at)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::numeric[], $6::text[], $7::timestamptz[])
             AS fresh (order_id)
         ORDER BY order_id",
    )
    .bind(column(fresh, |decision| decision.order_id.as_uuid()))
    .bind(column(fresh, |decision| decision.payment_id.as_uuid()))
    .bind(column(fresh, |decision| decision.product_id.to_string()))
    .bind(column(fresh, |decision| decision.quantity.as_i32()))
    .bind(column(fresh, |decision| decision.amount.as_decimal()))
    .bind(column(fresh, |decision| decision.outcome.name()))
    .bind(column(fresh, |decision| decision.decided_at))
    .execute(connection)
    .await?;
    Ok(())
}

async fn take_from_stock(
    connection: &mut PgConnection,
    fresh: &[Decision],
) -> Result<(), sqlx::Error> {
    let reserved = fresh
        .iter()
        .filter(|decision| decision.outcome == Outcome::Reserved);
    let (products, quantities): (Vec<_>, Vec<_>) = reserved
        .map(|decision| (decision.product_id.as_str(), decision.quantity.as_i32()))
        .unzip();
    sqlx::query(
        "UPDATE products SET quantity = products.quantity - taken.quantity
         FROM (SELECT product_id, sum(quantity)::int AS quantity
               FROM UNNEST($1::text[], $2::int[]) AS reserved (product_id, quantity)
               GROUP BY product_id) AS taken
         WHERE products.product_id = taken.product_id",
    )
    .bind(products)
    .bind(quantities)
    .execute(connection)
    .await?;
    Ok(())
}

fn order_ids(payments: &[&PaymentSucceeded]) -> Vec<Uuid> {
    payments
        .iter()
        .map(|paid| paid.order_id.as_uuid())
        .collect()
}

impl FromRow<'_, PgRow> for Decision {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let outcome: String = row.try_get("outcome")?;
        let outcome = Outcome::ALL
            .into_iter()
            .find(|known| known.name() == outcome);
        let quantity = u32::try_from(row.try_get::<i32, _>("quantity")?).map_err(decode)?;
        Ok(Self {
            order_id: OrderId::from(row.try_get::<Uuid, _>("order_id")?),
            payment_id: PaymentId::from(row.try_get::<Uuid, _>("payment_id")?),
            product_id: ProductId::new(row.try_get::<String, _>("product_id")?).map_err(decode)?,
            quantity: Quantity::new(quantity).map_err(decode)?,
            amount: Amount::new(row.try_get("amount")?).map_err(decode)?,
            outcome: outcome.ok_or_else(|| decode(OutOfBounds("must be an outcome")))?,
            decided_at: row.try_get("decided_at")?,
        })
    }
}

/// A row that this service cannot have written.
pub(crate) fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
