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

/// The server whose databases a container makes.
#[derive(Debug, Clone, clap::Args)]
pub struct ContainerPostgres {
    /// Address of PostgreSQL in the network of docker-compose.yml
    #[arg(long, env = "CONTAINER_POSTGRES", hide = true, default_value = CONTAINER_POSTGRES, value_parser = host_and_port)]
    pub postgres: (String, u16),
}

impl ContainerPostgres {
    /// The connection URL of a database, with role and password.
    pub fn connection_url(&self, Database { name, role }: Database) -> String {
        let (host, port) = &self.postgres;
        format!("postgres://{role}:{role}@{host}:{port}/{name}")
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), &'static str> {
    const LIMIT: &str = "must be HOST:PORT, as in postgres:5432";
    let (host, port) = text.rsplit_once(':').ok_or(LIMIT)?;
    let port = port.parse().map_err(|_| LIMIT)?;
    match host.is_empty() {
        true => Err(LIMIT),
        false => Ok((host.to_owned(), port)),
    }
}

/// How long to wait before the next try to reach the server.
const RETRY: Duration = Duration::from_millis(500);

/// The server's answer while it starts or stops (`cannot_connect_now`).
const CANNOT_CONNECT_NOW: &str = "57P03";

/// Creates the roles and databases that are missing, and gives existing ones the password and the owner that the services
/// expect. Data stays unchanged. While the server cannot be reached, tries again for the time `within`.
///
/// # Errors
/// The server cannot be reached in time, or refuses.
pub async fn create_databases(server: &ContainerPostgres, within: Duration) -> Result<()> {
    let mut session = connect(server, within).await?;
    for database in Database::ALL {
        create(&mut session, database).await?;
    }
    Ok(session.close().await?)
}

/// Drops the databases with all their data, ends the sessions of their clients, and creates the databases again.
///
/// # Errors
/// As [`create_databases`].
pub async fn recreate_databases(server: &ContainerPostgres) -> Result<()> {
    let mut session = connect(server, Duration::ZERO).await?;
    for database in Database::ALL {
        let name = database.name;
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        execute(&mut session, drop).await?;
        create(&mut session, database).await?;
    }
    Ok(session.close().await?)
}

/// A session of the superuser. Two of them do not change databases at the same time.
async fn connect(server: &ContainerPostgres, within: Duration) -> Result<PgConnection> {
    let (host, port) = &server.postgres;
    let options = PgConnectOptions::new_without_pgpass()
        .host(host)
        .port(*port)
        .username(SUPERUSER)
        .password(SUPERUSER)
        .database("postgres")
        .application_name("sandbox");
    let end = Instant::now() + within;
    let mut session = loop {
        match PgConnection::connect_with(&options).await {
            Ok(session) => break session,
            Err(error) if may_pass(&error) && Instant::now() < end => sleep(RETRY).await,
            Err(error) => return Err(error).context("cannot connect to PostgreSQL"),
        }
    };
    execute(&mut session, "SELECT pg_advisory_lock(1)".to_owned()).await?;
    Ok(session)
}

/// Whether the server may only have to start.
fn may_pass(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        Some(refusal) => refusal.code().as_deref() == Some(CANNOT_CONNECT_NOW),
        None => matches!(error, sqlx::Error::Io(_)),
    }
}

async fn create(session: &mut PgConnection, database: Database) -> Result<()> {
    let exists = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), \
                         EXISTS (SELECT FROM pg_database WHERE datname = $2)";
    let (role, name): (bool, bool) = sqlx::query_as(exists)
        .bind(database.role)
        .bind(database.name)
        .fetch_one(&mut *session)
        .await?;
    for statement in statements(database, role, name) {
        execute(session, statement).await?;
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
async fn execute(session: &mut PgConnection, statement: String) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.clone()))
        .execute(session)
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
    fn an_address_has_a_host_and_a_port() {
        let default = host_and_port(CONTAINER_POSTGRES);
        assert_eq!(default, Ok(("postgres".to_owned(), 5432)));
        for bad in ["", "postgres", ":5432", "postgres:x", "postgres:70000"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_server_that_may_still_start_is_tried_again() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert!(may_pass(&sqlx::Error::Io(refused)));
        assert!(!may_pass(&sqlx::Error::PoolClosed));
    }
}
