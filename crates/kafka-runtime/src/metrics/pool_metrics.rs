//! The sessions of a database pool, read at each scrape.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntGauge, IntGaugeVec, Opts};
use sqlx::PgPool;

pub(crate) struct PoolMetrics {
    pool: PgPool,
    in_use: IntGauge,
    idle: IntGauge,
    sessions: IntGaugeVec,
    max: IntGauge,
}

impl PoolMetrics {
    /// The metrics of a pool, with `name` as their label `pool`.
    pub(crate) fn new(pool: PgPool, name: &str) -> Result<Self, Error> {
        let opts = |metric, help| Opts::new(metric, help).const_label("pool", name);
        let sessions = IntGaugeVec::new(
            opts("database_connections", "Sessions of the pool."),
            &["state"],
        )?;
        let max = IntGauge::with_opts(opts(
            "database_connections_max",
            "Largest number of sessions that the pool may have.",
        ))?;
        max.set(pool.options().get_max_connections().into());
        Ok(Self {
            in_use: sessions.with_label_values(&["in_use"]),
            idle: sessions.with_label_values(&["idle"]),
            pool,
            sessions,
            max,
        })
    }
}

impl Collector for PoolMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let mut descriptions = self.sessions.desc();
        descriptions.extend(self.max.desc());
        descriptions
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // The pool may change between the two readings, so the difference is kept at 0 or above.
        let (idle, all) = (self.pool.num_idle() as i64, i64::from(self.pool.size()));
        self.idle.set(idle);
        self.in_use.set((all - idle).max(0));
        let mut families = self.sessions.collect();
        families.extend(self.max.collect());
        families
    }
}
