//! The one list of what is wired.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use kafka_runtime::database::Database;
use kafka_runtime::{Member, controls};
use prometheus::Registry;
use service_kit::trace::Tracer;
use service_kit::{Component, Readiness, Requests, admin, instance, server};
use shared_events::Service;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::handler::Reservations;
use crate::http;
use crate::metrics::Metrics;
use crate::store::Store;

/// The tables, built into the binary.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Sessions on the database: the member's one, and two for people.
pub const SESSIONS: u32 = 3;

/// A service that listens, and has not answered anybody yet.
pub struct App {
    database: Database,
    tables: Component,
    member: Member,
    listener: TcpListener,
    router: Router,
    requests: Requests,
    tracer: Tracer,
    drain: Duration,
}

impl App {
    /// Checks the settings, listens, and starts the member. Needs neither broker nor database: the member joins its group when
    /// there is one, and a batch that comes before the tables are there comes again.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        let mut member = settings.validate()?;
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;

        let registry = Registry::new();
        let readiness = Readiness::new(Service::Inventory.name());
        let database = Database::new(settings.database_url, SESSIONS);
        database.count_in(&registry, "shared")?;
        let requests = Requests::new(&registry)?;
        let tables = readiness.component("database");
        let store = Store::new(
            database.pool().clone(),
            member.faults.clone(),
            Metrics::new(&registry)?,
        );
        let reservations = Reservations::new(store, settings.poison_product.0);
        let instance = instance::number(member.kafka.slot).await;
        let tracer = Tracer::new(&settings.trace, Service::Inventory.name(), instance)?;
        member.tracer = tracer.clone();
        let member = Member::start(member, instance, reservations, &readiness, &registry)?;
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
            drain: settings.consumer.drain_timeout,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then drains. An error means that the tables cannot be brought up to date, or that the member
    /// cannot go on.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
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
