//! What has to be looked after beside the requests: counting, and forgetting old keys.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, Row};
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::acceptance::OutboxRoom;
use crate::domain::Status;
use crate::metrics::{Metrics, Orders};

/// How often the outbox is counted.
const OUTBOX_INTERVAL: Duration = Duration::from_secs(1);

/// How often old keys are looked for.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// Most keys deleted by one statement, so that none takes long.
const PURGE_ROWS: u64 = 10_000;

/// A count of all orders reads the whole table. So it is made only when somebody asks for the metrics, at most once a second,
/// and the larger the table, the less often: at most this share of the time is spent on it.
const CENSUS_SHARE: u32 = 20;

/// How long a count may take before it counts as failed: a database that is frozen answers nothing, and our Prometheus waits 4 s for
/// a scrape.
const COUNT_TIME: Duration = Duration::from_secs(3);

async fn in_time<T>(count: impl Future<Output = Result<T, sqlx::Error>>) -> anyhow::Result<T> {
    Ok(timeout(COUNT_TIME, count).await??)
}

/// The count of the outbox: for the metrics, and for the limit.
pub struct OutboxCount {
    /// Where it is counted.
    pub pool: PgPool,
    /// Up to where: further rows change nothing.
    pub limit: u32,
    /// Who is told how much room is left.
    pub room: Arc<OutboxRoom>,
    /// Where it is shown.
    pub metrics: Metrics,
}

impl OutboxCount {
    /// Counts every second. Runs until dropped. While the database is away, the room stands as last counted, and the metrics tell
    /// nothing.
    pub async fn run(self) {
        let mut ticks = interval(OUTBOX_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let added = self.room.added();
            let counted = in_time(self.count())
                .await
                .inspect_err(|error| tracing::debug!(%error, "the outbox could not be counted"));
            if let Ok((rows, _)) = counted {
                self.room.counted(rows, added);
            }
            self.metrics.outbox(counted.ok());
        }
    }

    /// Rows, and the age of the oldest in seconds.
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

/// Forgets keys older than 24 hours, every minute. Runs until dropped.
pub async fn purge_keys(pool: PgPool) {
    let mut ticks = interval(PURGE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match forget_old_keys(&pool).await {
            Ok(0) => {}
            Ok(keys) => tracing::debug!(keys, "old idempotency keys forgotten"),
            Err(error) => tracing::debug!(%error, "old idempotency keys could not be forgotten"),
        }
    }
}

/// Forgets all keys older than 24 hours, and says how many those were.
pub async fn forget_old_keys(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut forgotten = 0;
    loop {
        let rows = sqlx::query(
            "DELETE FROM idempotency_keys WHERE key IN
             (SELECT key FROM idempotency_keys WHERE created_at < now() - interval '24 hours' LIMIT $1)",
        )
        .bind(PURGE_ROWS as i64)
        .execute(pool)
        .await?
        .rows_affected();
        forgotten += rows;
        if rows < PURGE_ROWS {
            return Ok(forgotten);
        }
    }
}

/// The counts of all orders by status. Clones share the last one.
#[derive(Clone)]
pub struct Census {
    pool: PgPool,
    metrics: Metrics,
    not_before: Arc<Mutex<Option<Instant>>>,
}

impl Census {
    /// A census nobody has made yet.
    pub fn new(pool: PgPool, metrics: Metrics) -> Self {
        Self {
            pool,
            metrics,
            not_before: Arc::default(),
        }
    }

    /// Brings the gauges up to date, if they are older than a second. While the database is away, they tell nothing.
    pub async fn refresh(&self) {
        // Whoever comes meanwhile waits for the same count.
        let mut not_before = self.not_before.lock().await;
        let began = Instant::now();
        if not_before.is_some_and(|not_before| began < not_before) {
            return;
        }
        let counted = in_time(self.count())
            .await
            .inspect_err(|error| tracing::debug!(%error, "the orders could not be counted"));
        // A failure says nothing about how long the next count takes.
        let pause = counted
            .as_ref()
            .map_or(Duration::ZERO, |_| began.elapsed() * CENSUS_SHARE);
        self.metrics.orders(counted.ok());
        *not_before = Some(Instant::now() + pause.max(Duration::from_secs(1)));
    }

    /// Grouped by facts and not by status: there are at most 64 groups, and what they mean is said in one place.
    async fn count(&self) -> Result<Orders, sqlx::Error> {
        let groups = sqlx::query(
            "SELECT min(created_at) AS created_at, min(paid_at) AS paid_at, min(payment_failed_at) AS payment_failed_at,
                    min(reserved_at) AS reserved_at, min(out_of_stock_at) AS out_of_stock_at, min(refunded_at) AS refunded_at,
                    count(*) AS orders,
                    count(*) FILTER (WHERE GREATEST(created_at, paid_at, payment_failed_at, reserved_at, out_of_stock_at,
                                                    refunded_at) < now() - interval '60 seconds') AS old
             FROM orders
             GROUP BY created_at IS NULL, paid_at IS NULL, payment_failed_at IS NULL,
                      reserved_at IS NULL, out_of_stock_at IS NULL, refunded_at IS NULL",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut by_status = Status::ALL.map(|status| (status, 0_i64));
        let (mut waiting, mut impossible) = (0, 0);
        for group in groups {
            let facts = crate::store::facts(&group)?;
            let (orders, old): (i64, i64) = (group.try_get("orders")?, group.try_get("old")?);
            for (status, count) in &mut by_status {
                *count += if *status == facts.status() { orders } else { 0 };
            }
            waiting += if facts.status().is_end() { 0 } else { old };
            impossible += if facts.impossible() { orders } else { 0 };
        }
        Ok(Orders {
            by_status,
            waiting,
            impossible,
        })
    }
}
