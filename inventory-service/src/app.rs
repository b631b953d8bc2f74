//! The wiring: which parts there are, and how they start and stop.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use kafka_runtime::database::{self, Database};
use kafka_runtime::{Member, controls};
use prometheus::Registry;
use service_kit::trace::Tracer;
use service_kit::{BoxFuture, Component, Readiness, RequestMetrics, admin, instance, server};
use shared_events::Service;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::handler::InventoryHandler;
use crate::http;
use crate::metrics::Metrics;
use crate::store::Store;

/// The migrations, compiled into the binary.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Database connections: one for the member, two for the API.
pub const CONNECTIONS: u32 = 3;

/// A service that listens but does not answer yet.
pub struct App {
    database: Database,
    tables: Component,
    member: Member,
    listener: TcpListener,
    router: Router,
    requests: RequestMetrics,
    tracer: Tracer,
    drain: Duration,
}

impl App {
    /// Checks the settings, binds the port, and starts the member. Neither broker nor database need
    /// be up: the member joins its group when the broker is, and a batch is retried until the
    /// tables exist.
    pub fn build(settings: Settings) -> BoxFuture<anyhow::Result<Self>> {
        Box::pin(Self::try_build(settings))
    }

    async fn try_build(settings: Settings) -> anyhow::Result<Self> {
        let mut member = settings.validate()?;
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;

        let registry = Registry::new();
        let readiness = Readiness::new(Service::Inventory.name());
        let instance = instance::number(member.kafka.slot).await;
        let url = database::named(settings.database_url, Service::Inventory, instance);
        let database = Database::new(url, CONNECTIONS);
        member.lock_waits = database.lock_waits();
        database.register_metrics(&registry, "shared")?;
        let requests = RequestMetrics::new(&registry)?;
        let tables = readiness.component("database");
        let store = Store::new(
            database.pool().clone(),
            member.faults.clone(),
            Metrics::new(&registry)?,
        );
        let handler = InventoryHandler::new(store, settings.poison_product.0);
        let tracer = Tracer::new(&settings.trace, Service::Inventory.name(), instance)?;
        member.tracer = tracer.clone();
        let member = Member::start(member, instance, handler, &readiness, &registry)?;
        let router = http::router(database.pool().clone())
            .merge(controls::router(member.controls()))
            .merge(admin::router(readiness, registry));
        Ok(Self {
            database,
            tables,
            member,
            listener,
            router,
            requests,
            tracer,
            drain: settings.consumer.drain.drain_timeout,
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
        let (tables, member, ()) = tokio::join!(
            self.database
                .watch(&MIGRATIONS, self.tables, shutdown.clone()),
            self.member.run(shutdown.clone(), self.drain),
            server::serve(
                self.listener,
                self.router,
                self.requests,
                shutdown,
                self.drain
            ),
        );
        tokio::join!(self.database.close(), self.tracer.stop());
        tables?;
        Ok(member?)
    }
}
