//! Whether a fault is there now, as far as it shows over the network.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster_reader::ReaderSettings;
use cluster_reader::transactions::Transactions;
use kafka_admin::Cluster;
use kafka_admin::member_controls::ConditionKind;
use local_runtime::database::DatabaseServer;
use local_runtime::kafka;
use shared_events::gateway_api::Behaviour;
use shared_events::{Service, Topic};
use stack::Stack;
use stack::host_or_container::HostOrContainer;
use stack::layout::{Database, StackLayout};
use stack::shop_client::ShopClient;
use stack::workload::Workload;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::change::{SAVED_OFFSETS, TRANSACTION};
use crate::database::{self, TIMEOUT};

/// How long a process that runs may take to accept a connection or to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// The error code of PostgreSQL when all connections are used (`too_many_connections`).
const TOO_MANY_CONNECTIONS: &str = "53300";

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The broker accepts a connection and does not answer.
    BrokerFrozen,
    /// Nothing listens at the broker's address.
    BrokerAway,
    /// The database server accepts a connection and does not answer.
    DatabaseFrozen,
    /// An instance of this service accepts a connection and does not answer.
    InstanceFrozen(Service),
    /// A member of a group is halted after too many poison records in a row.
    MemberHalted,
    /// A session of another program, which calls itself so, holds a lock on rows in a transaction.
    RowsLocked(&'static str),
    /// A session of another program, which calls itself so, holds an advisory lock.
    AdvisoryLock(&'static str),
    /// The server refuses a further session.
    ConnectionsUsedUp,
    /// This topic keeps records for a shorter time than its definition says.
    ShortRetention(Topic),
    /// This topic has more partitions than its definition says.
    MorePartitions(Topic),
    /// The offsets of a group before they were reset are saved, so they were reset and not set back.
    OffsetsSaved,
    /// The topic holds fewer payments than order-service has seen.
    PaymentsMissing,
    /// payment-gateway fails on purpose.
    GatewayFails,
    /// payment-gateway waits on purpose.
    GatewaySlow,
    /// payment-gateway does not answer, on purpose.
    GatewayAway,
    /// The controls of inventory-service name a crash point.
    CrashAtSet,
    /// The transaction of the fault is open.
    TransactionOpen,
    /// The broker process may write no large file, or has ended because it could not.
    FileSizeLimited,
}

impl Probe {
    /// Whether the fault is there.
    ///
    /// # Errors
    /// What is looked at cannot be read, because something else is broken.
    pub async fn holds(self, layout: &StackLayout) -> Result<bool> {
        match self {
            Self::BrokerFrozen | Self::BrokerAway => {
                let seen = broker(layout).await;
                Ok(matches!(
                    (self, seen),
                    (Self::BrokerFrozen, Seen::Silent) | (Self::BrokerAway, Seen::Away)
                ))
            }
            Self::DatabaseFrozen => Ok(database_server(layout).await == Seen::Silent),
            Self::InstanceFrozen(service) => instance_frozen(layout, service).await,
            Self::MemberHalted => member_halted(layout).await,
            Self::RowsLocked(name) => sql(layout, ROWS_LOCKED, name).await,
            Self::AdvisoryLock(name) => sql(layout, ADVISORY_LOCK, name).await,
            Self::ConnectionsUsedUp => connections_used_up(layout).await,
            Self::ShortRetention(topic) => short_retention(layout, topic).await,
            Self::MorePartitions(topic) => more_partitions(layout, topic).await,
            Self::OffsetsSaved => offsets_saved(layout).await,
            Self::PaymentsMissing => payments_missing(layout).await,
            Self::GatewayFails => Ok(gateway(layout).await?.fail_percent > 0),
            Self::GatewaySlow => Ok(gateway(layout).await?.delay_ms > 0),
            Self::GatewayAway => Ok(gateway(layout).await?.away),
            Self::CrashAtSet => crash_at_set(layout).await,
            Self::TransactionOpen => transaction_open(layout).await,
            Self::FileSizeLimited => file_size_limited(layout),
        }
    }
}

const ROWS_LOCKED: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle in transaction')";
const ADVISORY_LOCK: &str = "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = $1 AND locktype = 'advisory' AND granted)";

/// How a server appears over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Answers,
    /// The kernel accepts the connection, and the process does not answer.
    Silent,
    /// No connection.
    Away,
}

async fn broker(layout: &StackLayout) -> Seen {
    let bootstrap = layout.kafka().bootstrap_servers;
    let first = bootstrap.split(',').next().unwrap_or_default();
    match reached(first).await {
        Some(address) if kafka::answers(address).await => Seen::Answers,
        Some(_) => Seen::Silent,
        None => Seen::Away,
    }
}

async fn database_server(layout: &StackLayout) -> Seen {
    match reached(&database::address(layout)).await {
        Some(address) if DatabaseServer(address).answers().await => Seen::Answers,
        Some(_) => Seen::Silent,
        None => Seen::Away,
    }
}

/// The address behind `host:port`, if something accepts connections there.
async fn reached(host_and_port: &str) -> Option<SocketAddr> {
    let mut found = timeout(ANSWER, lookup_host(host_and_port))
        .await
        .ok()?
        .ok()?;
    let address = found.find(SocketAddr::is_ipv4)?;
    timeout(ANSWER, TcpStream::connect(address))
        .await
        .ok()?
        .ok()?;
    Some(address)
}

async fn instance_frozen(layout: &StackLayout, service: Service) -> Result<bool> {
    let client = ShopClient::new(layout)?;
    for instance in layout.instances(service).await? {
        let address = instance.url.trim_start_matches("http://");
        let accepts = reached(address).await.is_some();
        if accepts && !matches!(timeout(ANSWER, client.stats(&instance)).await, Ok(Ok(_))) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn member_halted(layout: &StackLayout) -> Result<bool> {
    let client = ShopClient::new(layout)?;
    for service in Service::ALL {
        for instance in layout.instances(service).await? {
            let stats = client.stats(&instance).await?;
            let mut conditions = stats.conditions.iter();
            if conditions.any(|condition| condition.kind == ConditionKind::Halted) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

async fn sql(layout: &StackLayout, query: &'static str, name: &str) -> Result<bool> {
    let options = database::superuser(layout, "postgres", "sandbox")?;
    let mut session = database::connect(&options).await?;
    let answer = sqlx::query_scalar(query).bind(name).fetch_one(&mut session);
    let answer = timeout(TIMEOUT, answer).await;
    Ok(answer.context("PostgreSQL does not answer")??)
}

async fn connections_used_up(layout: &StackLayout) -> Result<bool> {
    let [orders, _] = Database::ALL;
    match database::connect(&database::owner(layout, orders, "sandbox")?).await {
        Ok(_) => Ok(false),
        Err(error) => {
            let refused = error.downcast_ref::<sqlx::Error>();
            let code = refused.and_then(sqlx::Error::as_database_error);
            match code.and_then(|error| error.code().map(|code| code == TOO_MANY_CONNECTIONS)) {
                Some(used_up) => Ok(used_up),
                None => Err(error),
            }
        }
    }
}

async fn short_retention(layout: &StackLayout, topic: Topic) -> Result<bool> {
    let cluster = Cluster::new(&layout.kafka())?;
    let differences = cluster.topic_differences(topic).await?;
    Ok(differences
        .iter()
        .any(|difference| difference.setting == "retention.ms"))
}

async fn more_partitions(layout: &StackLayout, topic: Topic) -> Result<bool> {
    let cluster = Cluster::new(&layout.kafka())?;
    let differences = cluster.topic_differences(topic).await?;
    Ok(differences
        .iter()
        .any(|difference| difference.setting == "partitions"))
}

async fn offsets_saved(layout: &StackLayout) -> Result<bool> {
    let cluster = Cluster::new(&layout.kafka())?;
    let group = cluster.prefix().name(SAVED_OFFSETS);
    let topic = cluster.prefix().topic(Topic::Payments);
    let saved = cluster.committed_offsets(&group, &[topic]).await?;
    Ok(!saved.is_empty())
}

async fn payments_missing(layout: &StackLayout) -> Result<bool> {
    let cluster = Cluster::new(&layout.kafka())?;
    let topic = cluster.prefix().topic(Topic::Payments);
    let ends: i64 = cluster.end_offsets(&topic).await?.values().sum();
    let [orders, _] = Database::ALL;
    let mut session = database::connect(&database::owner(layout, orders, "sandbox")?).await?;
    let query =
        "SELECT count(*) FROM orders WHERE paid_at IS NOT NULL OR payment_failed_at IS NOT NULL";
    let seen = timeout(
        TIMEOUT,
        sqlx::query_scalar::<_, i64>(query).fetch_one(&mut session),
    )
    .await;
    Ok(ends < seen.context("PostgreSQL does not answer")??)
}

/// What payment-gateway says of itself.
async fn gateway(layout: &StackLayout) -> Result<Behaviour> {
    let running = layout.instances(Workload::PaymentGateway).await?;
    let gateway = running.first().context("payment-gateway does not run")?;
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .build()?;
    let answer = http
        .get(format!("{}/behaviour", gateway.url))
        .send()
        .await?;
    Ok(answer.error_for_status()?.json().await?)
}

async fn crash_at_set(layout: &StackLayout) -> Result<bool> {
    let cluster = Cluster::new(&layout.kafka())?;
    let controls = cluster.controls(Service::Inventory).await?;
    let point = controls.and_then(|controls| controls.crash_at);
    Ok(point.is_some_and(|point| point.0.is_some()))
}

async fn transaction_open(layout: &StackLayout) -> Result<bool> {
    let kafka = layout.kafka();
    let id = kafka.name_prefix.name(TRANSACTION);
    let mut transactions = Transactions::new(ReaderSettings {
        bootstrap_servers: kafka.bootstrap_servers,
        client_id: "sandbox".to_owned(),
        timeout: TIMEOUT,
    });
    let open = transactions.list().await?;
    Ok(open
        .iter()
        .any(|one| one.transactional_id.as_deref() == Some(id.as_str())))
}

fn file_size_limited(layout: &StackLayout) -> Result<bool> {
    if layout.host_or_container() == HostOrContainer::Container {
        bail!("the limits of the broker's process cannot be seen from a container");
    }
    let stack = Stack::open(layout)?;
    let Some(record) = stack.processes.record(kafka::KAFKA)? else {
        return Ok(false);
    };
    match std::fs::read_to_string(format!("/proc/{}/limits", record.process.pid)) {
        Ok(limits) => Ok(limits
            .lines()
            .filter_map(|line| line.strip_prefix("Max file size"))
            .any(|values| !values.trim_start().starts_with("unlimited"))),
        // The broker ends when it cannot write its log.
        Err(_) => Ok(!stack.saved_settings()?.is_killed(kafka::KAFKA)),
    }
}
