//! Sessions of the database server, in local mode and in a container.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use stack::host_or_container::HostOrContainer;
use stack::layout::{Database, StackLayout};
use stack::ports::CONTAINER_POSTGRES;
use tokio::time::timeout;

/// How long the server may take to accept a session, or to answer a query of a probe.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// The superuser of the server and its password, see [`local_runtime::database`].
const SUPERUSER: &str = local_runtime::database::SUPERUSER;

/// `host:port` of the server.
pub(crate) fn address(layout: &StackLayout) -> String {
    match layout.host_or_container() {
        HostOrContainer::Host => layout.postgres_server().0.to_string(),
        HostOrContainer::Container => CONTAINER_POSTGRES.to_owned(),
    }
}

/// The settings of a session of the superuser that calls itself `name` (`application_name`).
pub(crate) fn superuser(
    layout: &StackLayout,
    database: &str,
    name: &str,
) -> Result<PgConnectOptions> {
    options(layout, database, SUPERUSER, name)
}

/// The settings of a session of the owner of this database.
pub(crate) fn owner(
    layout: &StackLayout,
    database: Database,
    name: &str,
) -> Result<PgConnectOptions> {
    options(layout, database.name, database.role, name)
}

fn options(
    layout: &StackLayout,
    database: &str,
    role: &str,
    name: &str,
) -> Result<PgConnectOptions> {
    let address = address(layout);
    let (host, port) = address
        .rsplit_once(':')
        .context("the address of PostgreSQL has no port")?;
    let port = port.parse().context("the port of PostgreSQL")?;
    Ok(PgConnectOptions::new_without_pgpass()
        .host(host)
        .port(port)
        .username(role)
        .password(role)
        .database(database)
        .application_name(name))
}

/// Opens a session within [`TIMEOUT`].
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    let connected = timeout(TIMEOUT, PgConnection::connect_with(options)).await;
    connected
        .context("PostgreSQL does not answer")?
        .context("PostgreSQL refuses a session")
}
