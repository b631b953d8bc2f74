//! The wiring: which parts there are, and how they start and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use kafka_runtime::database::{self, Database};
use kafka_runtime::outbox::{Relay, RelaySettings};
use kafka_runtime::{Member, MemberSettings, controls};
use prometheus::Registry;
use service_kit::trace::Tracer;
use service_kit::{BoxFuture, Component, Readiness, RequestMetrics, admin, instance, server};
use shared_events::Service;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::background_jobs::{OrderCounts, OutboxCounter, purge_keys};
use crate::handler::OrderHandler;
use crate::http::{self, ApiState};
use crate::metrics::Metrics;
use crate::order_intake::{OrderIntake, OrderWriter};
use crate::outbox_capacity::OutboxCapacity;

/// The migrations, compiled into the binary.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Database connections that write: one for the order writer, one for the member. They are a pool
/// of their own, so that many readers cannot keep orders from being accepted.
pub const WRITERS: u32 = 2;

/// Database connections that read, for the API and for counting.
pub const READERS: u32 = 2;

/// A service that listens but does not answer yet.
pub struct App {
    listener: TcpListener,
    router: Router,
    requests: RequestMetrics,
    writer: OrderWriter,
    member: Member,
    relay: Relay,
    database: Database,
    readers: Database,
    tables: Component,
    outbox_counter: OutboxCounter,
    tracer: Tracer,
    stop_streams: CancellationToken,
    drain: Duration,
}

impl App {
    /// Checks the settings, binds the port, and starts the member and the relay. Neither broker nor
    /// database need be up: requests are answered with 503 until the tables exist, and events wait
    /// in the outbox until the broker is reachable.
    pub fn build(settings: Settings) -> BoxFuture<anyhow::Result<Self>> {
        Box::pin(Self::try_build(settings))
    }

    async fn try_build(settings: Settings) -> anyhow::Result<Self> {
        let mut member = settings.validate()?;
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;

        let registry = Registry::new();
        let readiness = Readiness::new(Service::Order.name());
        let tables = readiness.component("database");
        let metrics = Metrics::new(&registry)?;
        let instance = instance::number(member.kafka.slot).await;
        let url = database::named(settings.database_url.clone(), Service::Order, instance);
        let database = Database::new(url.clone(), WRITERS);
        let readers = Database::new(url.clone(), READERS);
        member.lock_waits = database.lock_waits();
        database.register_metrics(&registry, "writers")?;
        readers.register_metrics(&registry, "readers")?;
        let requests = RequestMetrics::new(&registry)?;

        let tracer = Tracer::new(&settings.trace, Service::Order.name(), instance)?;
        member.tracer = tracer.clone();
        let relay = Relay::start(relay_settings(url, &member), &readiness, &registry)?;
        let publisher = match member.faults.are_allowed() {
            true => Some(relay.publisher()?),
            false => None,
        };
        let capacity = OutboxCapacity::new(settings.outbox_limit);
        let (intake, queue) = OrderIntake::new(settings.http_queue, Arc::clone(&capacity));
        let writer = OrderWriter {
            queue,
            outbox_capacity: Arc::clone(&capacity),
            pool: database.pool().clone(),
            relay: relay.waker(),
            publisher,
            faults: member.faults.clone(),
            metrics: metrics.clone(),
        };
        let handler = OrderHandler::new(database.pool().clone(), metrics.clone());
        let member = Member::start(member, instance, handler, &readiness, &registry)?;

        let stop_streams = CancellationToken::new();
        let state = ApiState {
            intake,
            pool: readers.pool().clone(),
            metrics: metrics.clone(),
            tracer: tracer.clone(),
            shutdown: stop_streams.clone(),
        };
        let counts = OrderCounts::new(readers.pool().clone(), metrics.clone());
        let admin =
            admin::router(readiness, registry).layer(from_fn_with_state(counts, count_for_scrape));
        let router = http::router(state)
            .merge(admin)
            .merge(controls::router(member.controls()));
        let outbox_counter = OutboxCounter {
            pool: readers.pool().clone(),
            limit: settings.outbox_limit,
            capacity,
            metrics,
        };
        let drain = settings.consumer.drain.drain_timeout;
        Ok(Self {
            listener,
            router,
            requests,
            writer,
            member,
            relay,
            database,
            readers,
            tables,
            outbox_counter,
            tracer,
            stop_streams,
            drain,
        })
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then drains. Fails if the migrations cannot be applied or the
    /// member cannot continue.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<anyhow::Result<()>> {
        Box::pin(self.serve(shutdown))
    }

    async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self {
            listener,
            router,
            requests,
            writer,
            member,
            relay,
            database,
            readers,
            tables,
            outbox_counter,
            tracer,
            stop_streams,
            drain,
        } = self;
        let (tables, member, relayed, ..) = tokio::join!(
            database.watch(&MIGRATIONS, tables, shutdown.clone()),
            member.run(shutdown.clone(), drain),
            relay.watch(shutdown.clone()),
            // The writer ends when the router, which holds the intake, is dropped at the end of
            // serve().
            writer.run(),
            server::serve(listener, router, requests, shutdown.clone(), drain),
            shutdown.run_until_cancelled(async {
                database.migrated().await;
                tokio::join!(outbox_counter.run(), purge_keys(readers.pool().clone()))
            }),
            async {
                shutdown.cancelled().await;
                stop_streams.cancel();
            },
        );
        // After the writer, so that the relay can still publish the last orders.
        relay.stop().await;
        tokio::join!(database.close(), readers.close(), tracer.stop());
        tables?;
        relayed?;
        Ok(member?)
    }
}

fn relay_settings(database: PgConnectOptions, member: &MemberSettings) -> RelaySettings {
    RelaySettings {
        service: Service::Order,
        database,
        kafka: member.kafka.clone(),
        faults: member.faults.clone(),
        tracer: member.tracer.clone(),
    }
}

/// Counts the orders before a scrape of `/metrics` is answered.
async fn count_for_scrape(
    State(counts): State<OrderCounts>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path() == "/metrics" {
        counts.refresh().await;
    }
    next.run(request).await
}
