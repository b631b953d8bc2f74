//! The databases of the shop in Docker mode: made over the network by a container that runs each time the stack starts, whatever
//! the volume of PostgreSQL holds already. In local mode [`crate::backends`] does the same with `psql`.

use std::time::Duration;

use anyhow::{Context, Result};
use local_runtime::database::SUPERUSER;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::layout::Database;
use crate::ports::CONTAINER_POSTGRES;

/// How long to wait before the next try to reach the server.
const RETRY: Duration = Duration::from_millis(500);

/// The server's answer while it starts or stops (`cannot_connect_now`).
const CANNOT_CONNECT_NOW: &str = "57P03";

/// Creates the roles and databases that are missing, and gives existing ones the password and the owner that the services
/// expect. Data stays unchanged. While the server cannot be reached, tries again for the time `within`.
///
/// # Errors
/// The server cannot be reached in time, or refuses.
pub async fn create_databases(within: Duration) -> Result<()> {
    let mut server = connect(within).await?;
    for database in Database::ALL {
        create(&mut server, database).await?;
    }
    Ok(server.close().await?)
}

/// Drops the databases with all their data, ends the sessions of their clients, and creates the databases again.
///
/// # Errors
/// As [`create_databases`].
pub async fn recreate_databases() -> Result<()> {
    let mut server = connect(Duration::ZERO).await?;
    for database in Database::ALL {
        let name = database.name;
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        execute(&mut server, drop).await?;
        create(&mut server, database).await?;
    }
    Ok(server.close().await?)
}

/// A session of the superuser. Two of them do not change databases at the same time.
async fn connect(within: Duration) -> Result<PgConnection> {
    let options = PgConnectOptions::new_without_pgpass()
        .host(CONTAINER_POSTGRES)
        .username(SUPERUSER)
        .password(SUPERUSER)
        .database("postgres")
        .application_name("sandbox");
    let end = Instant::now() + within;
    let mut server = loop {
        match PgConnection::connect_with(&options).await {
            Ok(server) => break server,
            Err(error) if may_pass(&error) && Instant::now() < end => sleep(RETRY).await,
            Err(error) => return Err(error).context("cannot reach PostgreSQL"),
        }
    };
    execute(&mut server, "SELECT pg_advisory_lock(1)".to_owned()).await?;
    Ok(server)
}

/// Whether the server may only have to start.
fn may_pass(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        Some(refusal) => refusal.code().as_deref() == Some(CANNOT_CONNECT_NOW),
        None => matches!(error, sqlx::Error::Io(_)),
    }
}

async fn create(server: &mut PgConnection, database: Database) -> Result<()> {
    let exists = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), \
                         EXISTS (SELECT FROM pg_database WHERE datname = $2)";
    let (role, name): (bool, bool) = sqlx::query_as(exists)
        .bind(database.role)
        .bind(database.name)
        .fetch_one(&mut *server)
        .await?;
    for statement in statements(database, role, name) {
        execute(server, statement).await?;
    }
    Ok(())
}

/// What makes a role and its database as they should be. Names are constants of this crate, so they need no quotes.
fn statements(database: Database, role_exists: bool, database_exists: bool) -> [String; 2] {
    let Database { name, role } = database;
    let role_verb = if role_exists { "ALTER" } else { "CREATE" };
    [
        format!("{role_verb} ROLE {role} LOGIN PASSWORD '{role}'"),
        match database_exists {
            true => format!("ALTER DATABASE {name} OWNER TO {role}"),
            false => format!("CREATE DATABASE {name} OWNER {role}"),
        },
    ]
}

/// Runs one statement outside of a transaction, as CREATE DATABASE needs it.
async fn execute(server: &mut PgConnection, statement: String) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.clone()))
        .execute(server)
        .await;
    done.map(drop).with_context(|| statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_is_changed_and_what_is_missing_is_created() {
        let [orders, _] = Database::ALL;
        assert_eq!(
            statements(orders, false, false),
            [
                "CREATE ROLE orders LOGIN PASSWORD 'orders'",
                "CREATE DATABASE orders_db OWNER orders"
            ]
        );
        // A volume of an older release may have one without the other, or another owner.
        assert_eq!(
            statements(orders, true, true),
            [
                "ALTER ROLE orders LOGIN PASSWORD 'orders'",
                "ALTER DATABASE orders_db OWNER TO orders"
            ]
        );
        assert!(statements(orders, true, false)[1].starts_with("CREATE DATABASE"));
        assert!(statements(orders, false, true)[0].starts_with("CREATE ROLE"));
    }

    #[test]
    fn only_a_server_that_may_still_start_is_tried_again() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert!(may_pass(&sqlx::Error::Io(refused)));
        assert!(!may_pass(&sqlx::Error::PoolClosed));
    }
}
