//! Who holds the lock that a session of this service waits for.
//!
//! The error of a lock time-out does not say it, and when the error arrives the wait is over. So the connection that pings the
//! database looks each second at the waits of the service's other sessions, which have the same `application_name`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::time::error::Elapsed;

use crate::handler::Failure;

/// How long after a look its result explains a failure: a lock time-out ends at most a second after the last look.
const RECENT: Duration = Duration::from_secs(5);

/// SQLSTATE of a lock time-out.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// SQLSTATE of a statement time-out.
const QUERY_CANCELED: &str = "57014";

/// The waits of the sessions with this connection's `application_name`, each with the session at the end of the chain: a waiting
/// session may itself block others. `held` is `NULL` if this role may not see it.
const WAITS: &str = "
    WITH RECURSIVE chain (waiter, holder, depth) AS (
        SELECT activity.pid, blocker, 1
        FROM pg_stat_activity AS activity, unnest(pg_blocking_pids(activity.pid)) AS blocker
        WHERE activity.wait_event_type = 'Lock' AND activity.datname = current_database()
            AND activity.usename = current_user AND activity.application_name = current_setting('application_name')
      UNION
        SELECT waiter, blocker, depth + 1 FROM chain, unnest(pg_blocking_pids(holder)) AS blocker WHERE depth < 10
    )
    SELECT holder,
        coalesce(nullif(activity.application_name, ''), activity.backend_type, 'a prepared transaction'),
        extract(epoch FROM clock_timestamp() - activity.xact_start)::float8 AS held,
        (SELECT relation::regclass::text FROM pg_locks
         WHERE pid = waiter AND relation IS NOT NULL AND (locktype = 'tuple' OR NOT granted) LIMIT 1)
    FROM chain LEFT JOIN pg_stat_activity AS activity ON activity.pid = holder
    WHERE cardinality(pg_blocking_pids(holder)) = 0
    ORDER BY held DESC NULLS LAST LIMIT 1";

/// The last lock wait of a service's sessions. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LockWaits(Arc<Mutex<Option<LockWait>>>);

/// A session that another one waits for.
#[derive(Debug, Clone)]
struct LockWait {
    holder: i32,
    name: String,
    relation: Option<String>,
    /// How long its transaction has been open. `None` if that is not visible.
    held: Option<Duration>,
    first_seen: Instant,
    last_seen: Instant,
}

impl LockWaits {
    /// Looks at the waits of this moment.
    pub(super) async fn look(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        type Row = (i32, String, Option<f64>, Option<String>);
        let row: Option<Row> = sqlx::query_as(WAITS).fetch_optional(connection).await?;
        if let Some((holder, name, held, relation)) = row {
            let held = held.and_then(|held| Duration::try_from_secs_f64(held).ok());
            self.seen(holder, name, held, relation);
        }
        Ok(())
    }

    fn seen(&self, holder: i32, name: String, held: Option<Duration>, relation: Option<String>) {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = last
            .as_ref()
            .filter(|last| last.holder == holder && last.is_recent());
        *last = Some(LockWait {
            holder,
            name,
            relation,
            held,
            first_seen: same.map_or(now, |same| same.first_seen),
            last_seen: now,
        });
    }

    /// The cause of a failure, if it ended a wait for a lock: `lock timeout on products: held by backend 22693 (psql) for 9 s`.
    pub fn cause(&self, failure: &Failure) -> Option<String> {
        let Failure::Retryable { source, .. } = failure else {
            return None;
        };
        let database = source.downcast_ref::<sqlx::Error>();
        let code = database.and_then(|error| error.as_database_error()?.code());
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = last.as_ref().filter(|wait| wait.is_recent())?;
        // A time-out of the statement, of the pool or of the whole batch may end the wait first.
        let is_other_timeout = code.as_deref() == Some(QUERY_CANCELED)
            || matches!(database, Some(sqlx::Error::PoolTimedOut))
            || source.is::<Elapsed>();
        match (code.as_deref(), is_other_timeout) {
            (Some(LOCK_NOT_AVAILABLE), _) => Some(format!("lock timeout{wait}")),
            (_, true) => Some(format!("{source}, after a wait for a lock{wait}")),
            (_, false) => None,
        }
    }
}

impl LockWait {
    fn is_recent(&self) -> bool {
        self.last_seen.elapsed() < RECENT
    }
}

/// ` on products: held by backend 22693 (psql) for 9 s`.
impl fmt::Display for LockWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(relation) = &self.relation {
            write!(f, " on {relation}")?;
        }
        write!(f, ": held by backend {} ({}) for ", self.holder, self.name)?;
        match self.held {
            Some(held) => write!(f, "{} s", (held + self.last_seen.elapsed()).as_secs()),
            None => write!(f, "at least {} s", self.first_seen.elapsed().as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed_out() -> Failure {
        Failure::from_database("reserving stock", sqlx::Error::PoolTimedOut)
    }

    #[test]
    fn the_holder_of_a_lock_is_named_with_its_table_and_its_time() {
        let waits = LockWaits::default();
        assert_eq!(waits.cause(&timed_out()), None);
        let nine = Some(Duration::from_secs(9));
        waits.seen(22_693, "psql".to_owned(), nine, Some("products".to_owned()));
        let cause = waits.cause(&timed_out()).unwrap();
        assert!(
            cause.ends_with("a lock on products: held by backend 22693 (psql) for 9 s"),
            "{cause}"
        );
        waits.seen(22_694, "psql".to_owned(), None, None);
        let cause = waits.cause(&timed_out()).unwrap();
        assert!(
            cause.ends_with("a lock: held by backend 22694 (psql) for at least 0 s"),
            "{cause}"
        );
    }

    #[tokio::test]
    async fn only_a_time_out_ends_a_wait_for_a_lock() {
        let waits = LockWaits::default();
        waits.seen(22_693, "psql".to_owned(), None, None);
        let retryable = |source| Failure::Retryable {
            operation: "reserving stock",
            source,
        };
        let late = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await;
        let cause = waits.cause(&retryable(Box::new(late.unwrap_err())));
        assert!(cause.is_some_and(|cause| cause.contains("after a wait for a lock")));
        assert_eq!(
            waits.cause(&retryable("the member is stopping".into())),
            None
        );
    }
}
