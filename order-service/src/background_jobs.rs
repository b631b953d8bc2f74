//! Jobs beside the requests: counting the outbox and the orders, and deleting old idempotency keys.

use std::sync::Arc;
use std::time::Duration;

use shared_events::http_api::OrderStatus;
use sqlx::{PgPool, Row};
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::metrics::{CountedOrders, Metrics};
use crate::outbox_capacity::OutboxCapacity;
use crate::store::stuck_orders::waiting_over_60s;

/// How often the outbox is counted.
const OUTBOX_INTERVAL: Duration = Duration::from_secs(1);

/// How often old idempotency keys are deleted.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// Most keys deleted by one statement, to keep each statement short.
const PURGE_ROWS: u64 = 10_000;

/// Counting the orders reads the whole table. So it happens only for a scrape, at most once a
/// second, and the pause after a count is this many times its duration.
const ORDERS_PAUSE_FACTOR: u32 = 20;

/// How long a count may take. A frozen database never answers, and Prometheus waits 4 s for a
/// scrape.
const COUNT_TIMEOUT: Duration = Duration::from_secs(3);

async fn with_timeout<T>(count: impl Future<Output = Result<T, sqlx::Error>>) -> anyhow::Result<T> {
    Ok(timeout(COUNT_TIMEOUT, count).await??)
}

/// Counts the rows of the outbox, for the metrics and for [`OutboxCapacity`].
pub struct OutboxCounter {
    pub pool: PgPool,
    /// The count stops at this number of rows: beyond `OUTBOX_LIMIT` the exact number does not
    /// matter.
    pub limit: u32,
    pub capacity: Arc<OutboxCapacity>,
    pub metrics: Metrics,
}

impl OutboxCounter {
    /// Counts every second until dropped. While the database is down, the capacity stays as last
    /// counted and the metrics are absent.
    pub async fn run(self) {
        let mut ticks = interval(OUTBOX_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let added = self.capacity.added();
            let counted = with_timeout(self.count())
                .await
                .inspect_err(|error| tracing::debug!(%error, "the outbox could not be counted"));
            if let Ok((rows, _)) = counted {
                self.capacity.set_counted(rows, added);
            }
            self.metrics.set_outbox(counted.ok());
        }
    }

    /// The number of rows, and the age of the oldest row in seconds.
    async fn count(&self) -> Result<(i64, i64), sqlx::Error> {
        sqlx::query_as(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT $1) AS counted),
                    COALESCE((SELECT extract(epoch FROM now() - created_at)::bigint FROM outbox ORDER BY id LIMIT 1), 0)",
        )
        .bind(i64::from(self.limit))
        .fetch_one(&self.pool)
        .await
    }
}

/// Deletes idempotency keys older than 24 hours, every minute, until dropped.
pub async fn purge_keys(pool: PgPool) {
    let mut ticks = interval(PURGE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match delete_old_keys(&pool).await {
            Ok(0) => {}
            Ok(keys) => tracing::debug!(keys, "old idempotency keys deleted"),
            Err(error) => tracing::debug!(%error, "old idempotency keys could not be deleted"),
        }
    }
}

/// Deletes all idempotency keys older than 24 hours, and returns their number.
pub async fn delete_old_keys(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut deleted = 0;
    loop {
        let rows = sqlx::query(
            "DELETE FROM idempotency_keys WHERE key IN
             (SELECT key FROM idempotency_keys WHERE created_at < now() - interval '24 hours' LIMIT $1)",
        )
        .bind(PURGE_ROWS as i64)
        .execute(pool)
        .await?
        .rows_affected();
        deleted += rows;
        if rows < PURGE_ROWS {
            return Ok(deleted);
        }
    }
}

/// Counts all orders by status when Prometheus scrapes. Clones share the last count.
#[derive(Clone)]
pub struct OrderCounts {
    pool: PgPool,
    metrics: Metrics,
    not_before: Arc<Mutex<Option<Instant>>>,
}

impl OrderCounts {
    pub fn new(pool: PgPool, metrics: Metrics) -> Self {
        Self {
            pool,
            metrics,
            not_before: Arc::default(),
        }
    }

    /// Updates the gauges unless they are recent enough. While the database is down, the gauges are
    /// absent.
    pub async fn refresh(&self) {
        // Concurrent scrapes wait here for the one count.
        let mut not_before = self.not_before.lock().await;
        let began = Instant::now();
        if not_before.is_some_and(|not_before| began < not_before) {
            return;
        }
        let counted = with_timeout(self.count())
            .await
            .inspect_err(|error| tracing::debug!(%error, "the orders could not be counted"));
        // The duration of a failed count is no measure for the next one.
        let pause = counted
            .as_ref()
            .map_or(Duration::ZERO, |_| began.elapsed() * ORDERS_PAUSE_FACTOR);
        self.metrics.set_orders(counted.ok());
        *not_before = Some(Instant::now() + pause.max(Duration::from_secs(1)));
    }

    /// Groups by facts and not by status: there are at most 64 groups, and
    /// [`Facts`](crate::domain::Facts) alone decides what they mean.
    async fn count(&self) -> Result<CountedOrders, sqlx::Error> {
        let groups = sqlx::query(concat!(
            "SELECT min(created_at) AS created_at, min(paid_at) AS paid_at, min(payment_failed_at) AS payment_failed_at,
                    min(reserved_at) AS reserved_at, min(out_of_stock_at) AS out_of_stock_at, min(refunded_at) AS refunded_at,
                    count(*) AS orders,
                    count(*) FILTER (WHERE ",
            waiting_over_60s!(),
            ") AS old
             FROM orders
             GROUP BY created_at IS NULL, paid_at IS NULL, payment_failed_at IS NULL,
                      reserved_at IS NULL, out_of_stock_at IS NULL, refunded_at IS NULL",
        ))
        .fetch_all(&self.pool)
        .await?;
        let mut by_status = OrderStatus::ALL.map(|status| (status, 0_i64));
        let (mut waiting, mut impossible) = (0, 0);
        for group in groups {
            let facts = crate::store::facts(&group)?;
            let (orders, old): (i64, i64) = (group.try_get("orders")?, group.try_get("old")?);
            for (status, count) in &mut by_status {
                *count += if *status == facts.status() { orders } else { 0 };
            }
            waiting += if facts.status().is_final() { 0 } else { old };
            impossible += if facts.is_impossible() { orders } else { 0 };
        }
        Ok(CountedOrders {
            by_status,
            waiting,
            impossible,
        })
    }
}
