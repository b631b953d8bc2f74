//! The sessions of a pool of the database, counted when somebody asks.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntGauge, IntGaugeVec, Opts};
use sqlx::PgPool;

/// What a pool holds now.
pub(crate) struct Sessions {
    pool: PgPool,
    in_use: IntGauge,
    idle: IntGauge,
    sessions: IntGaugeVec,
    most: IntGauge,
}

impl Sessions {
    /// The metrics of the pool that is called `name` in them.
    pub(crate) fn new(pool: PgPool, name: &str) -> Result<Self, Error> {
        let opts = |metric, help| Opts::new(metric, help).const_label("pool", name);
        let sessions = IntGaugeVec::new(
            opts("database_connections", "Sessions with the database."),
            &["state"],
        )?;
        let most = IntGauge::with_opts(opts(
            "database_connections_max",
            "Most sessions that the pool may have.",
        ))?;
        most.set(pool.options().get_max_connections().into());
        Ok(Self {
            in_use: sessions.with_label_values(&["in_use"]),
            idle: sessions.with_label_values(&["idle"]),
            pool,
            sessions,
            most,
        })
    }
}

impl Collector for Sessions {
    fn desc(&self) -> Vec<&Desc> {
        let mut descriptions = self.sessions.desc();
        descriptions.extend(self.most.desc());
        descriptions
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Two readings of what changes meanwhile: never below 0.
        let (idle, all) = (self.pool.num_idle() as i64, i64::from(self.pool.size()));
        self.idle.set(idle);
        self.in_use.set((all - idle).max(0));
        let mut families = self.sessions.collect();
        families.extend(self.most.collect());
        families
    }
}
