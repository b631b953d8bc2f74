//! A service's PostgreSQL, as the consumer loop needs it: every call has a time-out, and an outage does not end the process.
//!
//! A frozen process must not hold its row locks, and a batch must end long before the group removes its member
//! (`max.poll.interval.ms`, 60 s). So every session of the pool waits at most 3 s for a lock, runs a statement for at most 10 s,
//! and is ended by PostgreSQL after 5 s idle in a transaction.

use std::time::Duration;

use prometheus::Registry;
use service_kit::Component;
use shared_events::{OutOfBounds, Service};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::SetOnce;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::pool_metrics::PoolMetrics;

mod lock_waits;

pub use lock_waits::LockWaits;

/// The time-outs of each session of the pool, by PostgreSQL's names.
const SESSION_TIMEOUTS: [(&str, &str); 3] = [
    ("lock_timeout", "3s"),
    ("statement_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "5s"),
];

/// How long a connection (new or from the pool) and a ping may take before the database counts as unavailable.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the database is pinged for readiness.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A service's database. It may be down when the service starts, and at any later time.
pub struct Database {
    options: PgConnectOptions,
    pool: PgPool,
    lock_waits: LockWaits,
    migrated: SetOnce<()>,
}

/// A migration cannot run. Retrying does not help.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database cannot be migrated; was it created by another version of this service? \
     `./sandbox reset` recreates it"
)]
pub struct MigrationFailed(#[source] MigrateError);

/// The `value_parser` of `DATABASE_URL`. The URL holds a password, so the setting needs `hide_env_values`.
///
/// # Errors
/// The URL is invalid. The message does not contain it.
pub fn parse_url(url: &str) -> Result<PgConnectOptions, OutOfBounds> {
    const LIMIT: OutOfBounds =
        OutOfBounds("must be a URL like postgres://role:password@host:5432/database");
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(LIMIT);
    }
    url.parse().map_err(|_| LIMIT)
}

/// These options with an `application_name` that `pg_stat_activity` shows: the service and its instance, as in
/// `inventory-service.2`. A name that the URL gives is kept.
pub fn named(options: PgConnectOptions, service: Service, instance: u32) -> PgConnectOptions {
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(&format!("{service}.{instance}")),
    }
}

impl Database {
    /// A database with a pool of at most `connections` sessions. Connects when the pool is first used. The number of members plus
    /// two is enough: more writers are slower than one.
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ANSWER_TIMEOUT)
            .connect_lazy_with(options.clone().options(SESSION_TIMEOUTS));
        Self {
            options,
            pool,
            lock_waits: LockWaits::default(),
            migrated: SetOnce::new(),
        }
    }

    /// Waits until [`Database::watch`] has migrated the database. A query before that would be an error in PostgreSQL's log.
    pub async fn migrated(&self) {
        self.migrated.wait().await;
    }

    /// The lock waits of the service's sessions, known while [`Database::watch`] runs. For
    /// [`MemberSettings::lock_waits`](crate::MemberSettings::lock_waits): a failing batch then names the holder of the lock.
    pub fn lock_waits(&self) -> LockWaits {
        self.lock_waits.clone()
    }

    /// Registers the metrics of the pool: `database_connections` and `database_connections_max`, with `name` as the label `pool`.
    ///
    /// # Errors
    /// The registry has a pool of this name already.
    pub fn register_metrics(
        &self,
        registry: &Registry,
        name: &str,
    ) -> Result<(), prometheus::Error> {
        registry.register(Box::new(PoolMetrics::new(self.pool.clone(), name)?))
    }

    /// The pool. While the database is down, each call on it fails after 3 s.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Migrates the database as soon as it is up, and then reports its health to readiness, until `shutdown`.
    ///
    /// Both happen on a connection of their own: a migration may take longer than the time-outs of the pool, and a busy pool
    /// does not mean that the database is down.
    ///
    /// # Errors
    /// The migration cannot run. `shutdown` is then cancelled, so that the rest of the service ends as well.
    pub async fn watch(
        &self,
        migrations: &Migrator,
        component: Component,
        shutdown: CancellationToken,
    ) -> Result<(), MigrationFailed> {
        let watching = shutdown.run_until_cancelled(self.reconnect_forever(migrations, &component));
        let failed = watching.await;
        shutdown.cancel();
        failed.map_or(Ok(()), Err)
    }

    async fn reconnect_forever(
        &self,
        migrations: &Migrator,
        component: &Component,
    ) -> MigrationFailed {
        loop {
            match self.session(migrations, component).await {
                SessionEnd::Unavailable(reason) => component.down(reason),
                SessionEnd::MigrationFailed(error) => return error,
            }
            sleep(PING_INTERVAL).await;
        }
    }

    /// Closes all sessions. Waits at most 3 s for running statements.
    pub async fn close(&self) {
        // It elapses if the database does not answer, and then the sessions are lost anyway.
        let _ = timeout(ANSWER_TIMEOUT, self.pool.close()).await;
    }

    async fn session(&self, migrations: &Migrator, component: &Component) -> SessionEnd {
        let connect = PgConnection::connect_with(&self.options);
        let mut connection = match timeout(ANSWER_TIMEOUT, connect).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return SessionEnd::Unavailable(error.to_string()),
            Err(_) => return SessionEnd::no_answer(),
        };
        // Not `run`: futures that contain it cannot be spawned ("Acquire is not general enough").
        if let Err(error) = migrations.run_direct(None, &mut connection, false).await {
            return SessionEnd::of_migration(error);
        }
        // It was set before if this is a new session after an outage.
        let _ = self.migrated.set(());
        loop {
            // It is also the ping.
            let look = self.lock_waits.look(&mut connection);
            match timeout(ANSWER_TIMEOUT, look).await {
                Ok(Ok(())) => component.ready(),
                Ok(Err(error)) => return SessionEnd::Unavailable(error.to_string()),
                Err(_) => return SessionEnd::no_answer(),
            }
            sleep(PING_INTERVAL).await;
        }
    }
}

/// Why a session ended.
enum SessionEnd {
    /// Retry.
    Unavailable(String),
    /// Retrying does not help.
    MigrationFailed(MigrationFailed),
}

impl SessionEnd {
    fn no_answer() -> Self {
        Self::Unavailable(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))
    }

    /// An outage during a migration is retryable: each migration is one transaction.
    fn of_migration(error: MigrateError) -> Self {
        let cause = match &error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => cause,
            _ => return Self::MigrationFailed(MigrationFailed(error)),
        };
        let code = cause.as_database_error().and_then(|cause| cause.code());
        // Classes 22, 23, 42: invalid data, an invalid statement, or a missing privilege.
        let is_permanent = |code: &str| {
            ["22", "23", "42"]
                .iter()
                .any(|class| code.starts_with(class))
        };
        if code.as_deref().is_some_and(is_permanent) {
            return Self::MigrationFailed(MigrationFailed(error));
        }
        Self::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_postgres_url_is_a_database_url() {
        assert!(parse_url("postgres://inventory:secret@127.0.0.1:5432/inventory_db").is_ok());
        for bad in [
            "",
            "inventory_db",
            "http://127.0.0.1/db",
            "postgres://host:port/db",
        ] {
            let refused = parse_url(bad).map(drop);
            assert!(
                refused.is_err_and(|limit| limit.to_string().contains("postgres://role")),
                "{bad}"
            );
        }
    }
}
