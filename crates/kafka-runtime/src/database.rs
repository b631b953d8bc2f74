//! A service's PostgreSQL, as the member loop needs it: every call has a bound, and being away is a state and not an end.
//!
//! A paused process must not hold its row locks over the others, and a turn of the loop must end long before the group gives
//! its member up (`max.poll.interval.ms`, 60 s). So every session of the pool waits at most 3 s for a lock, runs a statement
//! for at most 10 s, and is ended by PostgreSQL after 5 s idle in a transaction.

use std::time::Duration;

use prometheus::Registry;
use service_kit::Component;
use shared_events::OutOfBounds;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::pool::Sessions;

/// The bounds of each session of a pool, under PostgreSQL's own names.
const SESSION_BOUNDS: [(&str, &str); 3] = [
    ("lock_timeout", "3s"),
    ("statement_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "5s"),
];

/// How long to wait for a connection, new or out of the pool.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the database may take for an empty question before it counts as away.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// How often readiness is renewed.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A service's database. It may be away when the service starts, and at any time after.
pub struct Database {
    options: PgConnectOptions,
    pool: PgPool,
}

/// A migration that cannot run, however long one waits.
#[derive(Debug, thiserror::Error)]
#[error(
    "the tables cannot be brought up to date; was the database made by another version of this service? \
     `./sandbox reset` makes it anew"
)]
pub struct MigrationFailed(#[source] MigrateError);

/// Reads `DATABASE_URL`, for a setting's `value_parser`. The URL holds a password: hide it (`hide_env_values`) there.
pub fn parse_url(url: &str) -> Result<PgConnectOptions, OutOfBounds> {
    const LIMIT: OutOfBounds =
        OutOfBounds("must be a URL like postgres://role:password@host:5432/database");
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(LIMIT);
    }
    url.parse().map_err(|_| LIMIT)
}

impl Database {
    /// A database that nothing is asked of yet. At most `connections` sessions work at a time; as many as members plus two are
    /// enough, since more writers are slower than one.
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options.clone().options(SESSION_BOUNDS));
        Self { options, pool }
    }

    /// Shows in `database_connections` how many sessions work and wait now, under this name of the pool. Fails if the registry
    /// has one of this name already.
    pub fn count_in(&self, registry: &Registry, name: &str) -> Result<(), prometheus::Error> {
        registry.register(Box::new(Sessions::new(self.pool.clone(), name)?))
    }

    /// The sessions to work with. With the database away each call on it fails after 3 s.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Brings the tables up to date as soon as the database is there, and from then on says how it is. Runs until `shutdown`,
    /// and cancels it itself after a migration that cannot run, so that the rest of the service ends with it.
    ///
    /// Both happen on a connection of their own: a migration may take longer than the pool's bounds, and a busy pool is not
    /// an absent database.
    pub async fn watch(
        &self,
        migrations: &Migrator,
        component: Component,
        shutdown: CancellationToken,
    ) -> Result<(), MigrationFailed> {
        let watched = shutdown.run_until_cancelled(self.sessions(migrations, &component));
        let failed = watched.await;
        shutdown.cancel();
        failed.map_or(Ok(()), Err)
    }

    async fn sessions(&self, migrations: &Migrator, component: &Component) -> MigrationFailed {
        loop {
            match self.session(migrations, component).await {
                SessionEnd::Away(reason) => component.down(reason),
                SessionEnd::Broken(error) => return error,
            }
            sleep(PING_INTERVAL).await;
        }
    }

    /// Ends all sessions, waiting at most 3 s for work under way.
    pub async fn close(&self) {
        // Elapsed means that the database does not answer: then there is nobody to say goodbye to.
        let _ = timeout(CONNECT_TIMEOUT, self.pool.close()).await;
    }

    async fn session(&self, migrations: &Migrator, component: &Component) -> SessionEnd {
        let connect = PgConnection::connect_with(&self.options);
        let mut connection = match timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return SessionEnd::Away(error.to_string()),
            Err(_) => return SessionEnd::no_answer(),
        };
        // Not `run`: its generic bound makes futures around it that no one can spawn ("Acquire is not general enough").
        if let Err(error) = migrations.run_direct(None, &mut connection, false).await {
            return SessionEnd::of_migration(error);
        }
        loop {
            match timeout(PING_TIMEOUT, connection.ping()).await {
                Ok(Ok(())) => component.ready(),
                Ok(Err(error)) => return SessionEnd::Away(error.to_string()),
                Err(_) => return SessionEnd::no_answer(),
            }
            sleep(PING_INTERVAL).await;
        }
    }
}

/// Why a session ended.
enum SessionEnd {
    /// To be tried again.
    Away(String),
    /// To be looked at by a person.
    Broken(MigrationFailed),
}

impl SessionEnd {
    fn no_answer() -> Self {
        Self::Away(format!("no answer within {} s", PING_TIMEOUT.as_secs()))
    }

    /// An outage in the middle of a migration is still an outage: each migration is one transaction.
    fn of_migration(error: MigrateError) -> Self {
        let cause = match &error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => cause,
            _ => return Self::Broken(MigrationFailed(error)),
        };
        let code = cause.as_database_error().and_then(|cause| cause.code());
        // Classes 22, 23, 42: the data or the statements are wrong, or the role may not; no waiting mends that.
        let wrong = |code: &str| {
            ["22", "23", "42"]
                .iter()
                .any(|class| code.starts_with(class))
        };
        if code.as_deref().is_some_and(wrong) {
            return Self::Broken(MigrationFailed(error));
        }
        Self::Away(error.to_string())
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
