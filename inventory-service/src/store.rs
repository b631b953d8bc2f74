//! Deciding about orders in PostgreSQL, so that each order takes stock once.
//!
//! A batch may be processed again at any time: after a crash, after an outage, or by another
//! instance while this one still works on it. [`Store::decide`] therefore does four things in one
//! transaction, and their order is the guarantee:
//!
//! 1. **Lock** the stock rows of the batch, in the order of the products. From here on no other
//!    instance decides about these products. The order is the same everywhere, so two instances
//!    cannot deadlock.
//! 2. **Look up** the earlier decisions, in a statement of its own. Under `READ COMMITTED` a
//!    statement sees what was committed when it began, so this one sees the decisions of the
//!    instance that held the lock before. A look-up in the locking statement would not.
//! 3. **Decide** about the other orders, in Kafka's order ([`Ledger`]).
//! 4. **Write** decisions and stock with a plain insert and update. An unknown product has no row
//!    to lock, so two instances can decide about it at once. Then the second insert violates the
//!    primary key, the transaction rolls back, the batch is retried, and finds the decision. `ON
//!    CONFLICT DO NOTHING` would hide the conflict and take stock twice.
//!
//! The published event is always that of the stored decision. So after a crash between commit and
//! publishing, the batch is redelivered, every decision is found, and the same events are
//! published.

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

/// How long the transaction of one batch may take. PostgreSQL's own time-outs do not count while
/// its processes are frozen, and a member that does not poll for 60 s is removed from its group.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

const OPERATION: &str = "reserving stock";

/// The stock and the decisions about it.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    faults: Faults,
    metrics: Metrics,
}

impl Store {
    /// The database need not be up yet.
    pub fn new(pool: PgPool, faults: Faults, metrics: Metrics) -> Self {
        Self {
            pool,
            faults,
            metrics,
        }
    }

    /// Returns one decision for each payment, in the order given. Each order is decided once; the
    /// module's documentation says how. Takes at most 15 s.
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
        self.metrics.count(&decisions, ledger.new_decisions());
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
            delete_decisions(&mut transaction, payments).await?
        };
        let mut ledger = Ledger::new(stock, earlier);
        // PostgreSQL keeps microseconds: with nanoseconds the first event would differ from its
        // repetition.
        let now = Utc::now().trunc_subsecs(6);
        let decisions = payments
            .iter()
            .map(|paid| ledger.decide(paid, now))
            .collect();
        if !ledger.new_decisions().is_empty() {
            insert_decisions(&mut transaction, ledger.new_decisions()).await?;
            take_from_stock(&mut transaction, ledger.new_decisions()).await?;
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
                ProductId::new(product).map_err(invalid_row)?,
                u32::try_from(quantity).map_err(invalid_row)?,
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

/// Runs instead of [`earlier_decisions`] while [`Protection::IdempotentEffect`] is off: every order
/// is decided again.
async fn delete_decisions(
    connection: &mut PgConnection,
    payments: &[&PaymentSucceeded],
) -> Result<Vec<Decision>, sqlx::Error> {
    sqlx::query("DELETE FROM decisions WHERE order_id = ANY($1)")
        .bind(order_ids(payments))
        .execute(connection)
        .await?;
    Ok(Vec::new())
}

async fn insert_decisions(
    connection: &mut PgConnection,
    decisions: &[Decision],
) -> Result<(), sqlx::Error> {
    fn column<T>(decisions: &[Decision], field: impl Fn(&Decision) -> T) -> Vec<T> {
        decisions.iter().map(field).collect()
    }
    // Sorted by key: two instances that insert the same orders cannot deadlock.
    sqlx::query(
        "INSERT INTO decisions (order_id, payment_id, product_id, quantity, amount, outcome, decided_at)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::numeric[], $6::text[], $7::timestamptz[])
             AS decided (order_id)
         ORDER BY order_id",
    )
    .bind(column(decisions, |decision| decision.order_id.as_uuid()))
    .bind(column(decisions, |decision| decision.payment_id.as_uuid()))
    .bind(column(decisions, |decision| decision.product_id.to_string()))
    .bind(column(decisions, |decision| decision.quantity.as_i32()))
    .bind(column(decisions, |decision| decision.amount.as_decimal()))
    .bind(column(decisions, |decision| decision.outcome.name()))
    .bind(column(decisions, |decision| decision.decided_at))
    .execute(connection)
    .await?;
    Ok(())
}

async fn take_from_stock(
    connection: &mut PgConnection,
    decisions: &[Decision],
) -> Result<(), sqlx::Error> {
    let reserved = decisions
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
        let quantity = u32::try_from(row.try_get::<i32, _>("quantity")?).map_err(invalid_row)?;
        Ok(Self {
            order_id: OrderId::from(row.try_get::<Uuid, _>("order_id")?),
            payment_id: PaymentId::from(row.try_get::<Uuid, _>("payment_id")?),
            product_id: ProductId::new(row.try_get::<String, _>("product_id")?)
                .map_err(invalid_row)?,
            quantity: Quantity::new(quantity).map_err(invalid_row)?,
            amount: Amount::new(row.try_get("amount")?).map_err(invalid_row)?,
            outcome: outcome.ok_or_else(|| invalid_row(OutOfBounds("must be an outcome")))?,
            decided_at: row.try_get("decided_at")?,
        })
    }
}

/// The error for a row that this service cannot have written.
pub(crate) fn invalid_row(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
