//! The one list of what is wired.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use kafka_runtime::database::Database;
use kafka_runtime::faults::Protection;
use kafka_runtime::outbox::{Publisher, Relay, RelaySettings};
use kafka_runtime::{Member, MemberSettings, controls};
use prometheus::Registry;
use service_kit::trace::Tracer;
use service_kit::{Component, Readiness, Requests, admin, instance, server};
use shared_events::Service;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::acceptance::{self, Acceptor, OutboxRoom, Telling};
use crate::handler::OrderFacts;
use crate::http::{self, Shop};
use crate::metrics::Metrics;
use crate::upkeep::{self, Census, OutboxCount};

/// The tables, built into the binary.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Sessions that write: the acceptor's and the member's. Apart from those that read, so that no crowd of readers keeps orders
/// from being accepted.
pub const WRITERS: u32 = 2;

/// Sessions that read, for people and for counting.
pub const READERS: u32 = 2;

/// A service that listens, and has not answered anybody yet.
pub struct App {
    listener: TcpListener,
    router: Router,
    requests: Requests,
    acceptor: Acceptor,
    member: Member,
    relay: Relay,
    database: Database,
    readers: Database,
    tables: Component,
    outbox: OutboxCount,
    tracer: Tracer,
    shutdown: CancellationToken,
    drain: Duration,
}

impl App {
    /// Checks the settings, listens, and starts member and relay. Needs neither broker nor database: requests are answered with
    /// 503 until the tables are there, and what is accepted before the broker is there waits in the outbox.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        let mut member = settings.validate()?;
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;

        let registry = Registry::new();
        let readiness = Readiness::new(Service::Order.name());
        let tables = readiness.component("database");
        let metrics = Metrics::new(&registry)?;
        let database = Database::new(settings.database_url.clone(), WRITERS);
        let readers = Database::new(settings.database_url.clone(), READERS);
        database.count_in(&registry, "writers")?;
        readers.count_in(&registry, "readers")?;
        let requests = Requests::new(&registry)?;

        let instance = instance::number(member.kafka.slot).await;
        let tracer = Tracer::new(&settings.trace, Service::Order.name(), instance)?;
        member.tracer = tracer.clone();
        let relay = Relay::start(relay_settings(&settings, &member), &readiness, &registry)?;
        let telling = if member.faults.keeps(Protection::Outbox) {
            Telling::Outbox(relay.waker())
        } else {
            Telling::AfterCommit(Publisher::new(Service::Order, &settings.kafka, &readiness)?)
        };
        let room = OutboxRoom::new(settings.outbox_limit);
        let (door, acceptor) = acceptance::open(
            settings.http_queue,
            Arc::clone(&room),
            database.pool().clone(),
            telling,
            member.faults.clone(),
            metrics.clone(),
        );
        let facts = OrderFacts::new(database.pool().clone(), metrics.clone());
        let member = Member::start(member, instance, facts, &readiness, &registry)?;

        let shutdown = CancellationToken::new();
        let shop = Shop {
            door,
            pool: readers.pool().clone(),
            metrics: metrics.clone(),
            tracer: tracer.clone(),
            shutdown: shutdown.clone(),
        };
        let census = Census::new(readers.pool().clone(), metrics.clone());
        let admin =
            admin::router(readiness, registry).layer(from_fn_with_state(census, count_for_metrics));
        let router = http::router(shop)
            .merge(admin)
            .merge(controls::router(member.controls()));
        let outbox = OutboxCount {
            pool: readers.pool().clone(),
            limit: settings.outbox_limit,
            room,
            metrics,
        };
        let drain = settings.consumer.drain_timeout;
        Ok(Self {
            listener,
            router,
            requests,
            acceptor,
            member,
            relay,
            database,
            readers,
            tables,
            outbox,
            tracer,
            shutdown,
            drain,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then drains. An error means that the tables cannot be brought up to date, or that the member
    /// cannot go on.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self {
            listener,
            router,
            requests,
            acceptor,
            member,
            relay,
            database,
            readers,
            tables,
            outbox,
            tracer,
            drain,
            ..
        } = self;
        let streams = self.shutdown;
        let (tables, member, ..) = tokio::join!(
            database.watch(&MIGRATIONS, tables, shutdown.clone()),
            member.run(shutdown.clone(), drain),
            // It ends with the last request, whose end serve() waits for.
            acceptor.run(),
            server::serve(listener, router, requests, shutdown.clone(), drain),
            shutdown.run_until_cancelled(outbox.run()),
            shutdown.run_until_cancelled(upkeep::purge_keys(readers.pool().clone())),
            async {
                shutdown.cancelled().await;
                streams.cancel();
            },
        );
        // After the last order, so that what can still be told is.
        relay.stop().await;
        tokio::join!(database.close(), readers.close(), tracer.stop());
        tables?;
        Ok(member?)
    }
}

fn relay_settings(settings: &Settings, member: &MemberSettings) -> RelaySettings {
    RelaySettings {
        service: Service::Order,
        database: settings.database_url.clone(),
        kafka: settings.kafka.clone(),
        faults: member.faults.clone(),
        tracer: member.tracer.clone(),
    }
}

async fn count_for_metrics(State(census): State<Census>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/metrics" {
        census.refresh().await;
    }
    next.run(request).await
}
