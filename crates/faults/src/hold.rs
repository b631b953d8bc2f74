//! What a fault does as long as it lasts, in a process of its own, which the command `fault hold NAME`
//! is. The process ends with SIGTERM or SIGKILL: broker and database then release what it held,
//! except for the open transaction, which [`Change::revert`](crate::change::Change::revert) aborts.

use std::convert::Infallible;
use std::future::pending;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use kafka_admin::Cluster;
use local_runtime::free_ports;
use shared_events::{Service, Topic};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use stack::host_or_container::HostOrContainer;
use stack::layout::{Database, StackLayout};
use stack::terminal::note;
use tokio::time::{sleep, timeout};

use crate::change::TRANSACTION;
use crate::database::{self, TIMEOUT};

/// The longest time for which the broker lets a transaction be open (`transaction.max.timeout.ms`).
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(900);

/// How long the restless member stays in its group, and how long it stays away.
const STAY: Duration = Duration::from_secs(3);
const AWAY: Duration = Duration::from_secs(2);

/// The pause between two looks at a session, and after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// A transaction of a session that calls itself so, with all rows of the stock locked.
    StockRows(&'static str),
    /// The advisory lock of the outbox relay, by a session that calls itself so.
    RelayLock(&'static str),
    /// Every free connection of the database server.
    Connections,
    /// A transaction of a producer, open on `payments`.
    Transaction,
    /// A place in the group of inventory-service: taken, left, taken again.
    GroupMember,
    /// A load of orders whose keys all lead to one partition.
    HotKey,
    /// The restarts of inventory-service: whenever it has ended, it is started again. In Docker mode
    /// the engine does it.
    Restarts,
    /// A second process of payment-service with the slot of the first one.
    SecondProcess,
}

impl Hold {
    /// Holds it until the process ends. Returns only with an error.
    pub async fn run(self, layout: &StackLayout) -> Result<Infallible> {
        match self {
            Self::HotKey => return Err(hot_key(layout)),
            Self::SecondProcess => return second_process(layout),
            Self::StockRows(_)
            | Self::RelayLock(_)
            | Self::Connections
            | Self::Transaction
            | Self::Restarts
            | Self::GroupMember => {}
        }
        loop {
            // Broker and database may be restarted meanwhile.
            if let Err(error) = self.once(layout).await {
                note(format_args!("{error:#}"));
            }
            sleep(PAUSE).await;
        }
    }

    /// Holds it until something fails.
    async fn once(self, layout: &StackLayout) -> Result<()> {
        match self {
            Self::StockRows(name) => stock_rows(layout, name).await,
            Self::RelayLock(name) => relay_lock(layout, name).await,
            Self::Connections => connections(layout).await,
            Self::Transaction => transaction(layout).await,
            Self::GroupMember => group_member(layout).await,
            Self::Restarts => restarts(layout).await,
            Self::HotKey | Self::SecondProcess => Ok(()),
        }
    }
}

async fn stock_rows(layout: &StackLayout, name: &str) -> Result<()> {
    let [_, inventory] = Database::ALL;
    let mut session = database::connect(&database::owner(layout, inventory, name)?).await?;
    session
        .execute("SET idle_in_transaction_session_timeout = 0")
        .await?;
    let mut transaction = session.begin().await?;
    transaction
        .execute("UPDATE products SET quantity = quantity")
        .await
        .context("cannot lock the stock")?;
    pending::<()>().await;
    Ok(())
}

/// Takes the lock from the relay that has it: ends its session while this one waits for the lock.
async fn relay_lock(layout: &StackLayout, name: &str) -> Result<()> {
    let [orders, _] = Database::ALL;
    let mut admin =
        database::connect(&database::superuser(layout, orders.name, "sandbox")?).await?;
    let key: Option<i64> = sqlx::query_scalar(RELAY_LOCK)
        .fetch_optional(&mut admin)
        .await?;
    let key = key.context("no relay holds the lock of the outbox")?;
    let mut session = database::connect(&database::owner(layout, orders, name)?).await?;
    session.execute("SET idle_session_timeout = 0").await?;
    {
        let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(key);
        let mut lock = std::pin::pin!(lock.execute(&mut session));
        loop {
            match timeout(PAUSE, lock.as_mut()).await {
                Ok(locked) => break locked.map(drop)?,
                Err(_) => sqlx::query(END_RELAY).execute(&mut admin).await.map(drop)?,
            }
        }
    }
    keep(&mut session).await;
    // Whoever ends the session has repaired the fault: it does not take the lock again.
    pending::<()>().await;
    Ok(())
}

const RELAY_LOCK: &str = "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const END_RELAY: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Asks the session for a sign of life until it has ended.
async fn keep(session: &mut PgConnection) {
    while session.execute("SELECT 1").await.is_ok() {
        sleep(PAUSE).await;
    }
}

/// Opens sessions until the server refuses one, ends those of the services once, and takes every
/// connection that becomes free.
async fn connections(layout: &StackLayout) -> Result<()> {
    let [orders, _] = Database::ALL;
    let options = database::owner(layout, orders, NAME_OF_LEAK)?;
    let mut sessions = fill(&options).await?;
    let mut admin = database::connect(&database::superuser(layout, "postgres", "sandbox")?).await?;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> 'postgres' AND application_name <> '{NAME_OF_LEAK}'"
    );
    sqlx::raw_sql(AssertSqlSafe(end))
        .execute(&mut admin)
        .await?;
    loop {
        sessions.extend(fill(&options).await?);
        sleep(Duration::from_millis(200)).await;
    }
}

/// The name of the sessions that use up the connections.
const NAME_OF_LEAK: &str = "reporting";

async fn fill(options: &sqlx::postgres::PgConnectOptions) -> Result<Vec<PgConnection>> {
    let mut sessions = Vec::new();
    loop {
        match timeout(TIMEOUT, PgConnection::connect_with(options)).await {
            Ok(Ok(session)) => sessions.push(session),
            Ok(Err(sqlx::Error::Database(_))) => return Ok(sessions),
            Ok(Err(error)) => return Err(error).context("PostgreSQL refuses a session"),
            Err(_) => return Ok(sessions),
        }
    }
}

async fn transaction(layout: &StackLayout) -> Result<()> {
    let cluster = Cluster::new(&layout.kafka())?;
    let id = cluster.prefix().name(TRANSACTION);
    let topic = cluster.prefix().topic(Topic::Payments);
    let _held = cluster
        .hold_transaction(&id, &topic, TRANSACTION_TIMEOUT)
        .await?;
    // Then the broker aborts it, and the next one begins.
    sleep(TRANSACTION_TIMEOUT).await;
    Ok(())
}

async fn group_member(layout: &StackLayout) -> Result<()> {
    let cluster = Cluster::new(&layout.kafka())?;
    let group = cluster.prefix().group(Service::Inventory);
    let topic = cluster.prefix().topic(Topic::Payments);
    loop {
        cluster.join_and_leave(&group, &topic, STAY).await?;
        sleep(AWAY).await;
    }
}

async fn restarts(layout: &StackLayout) -> Result<()> {
    if layout.host_or_container() == HostOrContainer::Container {
        pending::<()>().await;
    }
    let this = std::env::current_exe().context("cannot find the path of this program")?;
    loop {
        let mut up = tokio::process::Command::new(&this);
        up.args(["up", Service::Inventory.name(), "--no-build", "--no-wait"]);
        up.stdout(Stdio::null()).stderr(Stdio::null());
        // While another command changes the stack, or the broker is away, it fails.
        let _tried_again = up
            .status()
            .await
            .context("cannot start this program again")?;
        sleep(AWAY).await;
    }
}

/// Replaces this process with load-generator.
fn hot_key(layout: &StackLayout) -> anyhow::Error {
    let mut command = program(layout, "load-generator");
    command.args(["continuous", "--events-per-second", "50"]);
    command.args(["--duration", "24h", "--keys", "single"]);
    anyhow::Error::new(command.exec()).context("cannot run load-generator")
}

/// Replaces this process with a second payment-service of slot 1.
fn second_process(layout: &StackLayout) -> Result<Infallible> {
    let [port] = free_ports::free()?;
    let mut command = program(layout, Service::Payment.name());
    command.env("SLOT", "1").env("PORT", port.to_string());
    Err(command.exec()).context("cannot run payment-service")
}

/// A program of this project, beside this one, for the broker of this stack.
fn program(layout: &StackLayout, name: &str) -> Command {
    let kafka = layout.kafka();
    let mut command = Command::new(layout.binaries().join(name));
    command
        .env("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
        .env("NAME_PREFIX", kafka.name_prefix.to_string())
        .env("BIND_ADDR", "127.0.0.1");
    command
}
