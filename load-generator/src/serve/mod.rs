//! The service: orders when somebody asks for them, and by itself.

mod auto;
mod http;
mod parameters;
mod studio;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use kafka_runtime::Need;
use kafka_runtime::client::{Connection, Counted};
use prometheus::Registry;
use service_kit::{Readiness, Requests, admin, server};
use shared_events::Topic;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::kafka::Sender;
use crate::metrics::Metrics;
use crate::settings::{BULK, Serve};
use auto::Auto;
use studio::Studio;

/// How long the last receipts may take when the service ends.
const RECEIPTS_WITHIN: Duration = Duration::from_secs(3);

/// A service that listens, and has not answered anybody yet.
pub struct App {
    listener: TcpListener,
    router: Router,
    requests: Requests,
    studio: Arc<Studio>,
    metrics: Metrics,
    drain: Duration,
}

impl App {
    /// Listens, and makes the producer. Needs no broker: without one it is not ready, and says so to who asks for orders.
    pub async fn build(settings: Serve) -> anyhow::Result<Self> {
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;
        let registry = Registry::new();
        let readiness = Readiness::new("load-generator");
        let requests = Requests::new(&registry)?;
        let connection = Connection::new(readiness.component("kafka"), Need::Required)
            .counted(&registry, Counted::Producer)?;
        let topic = settings.kafka.name_prefix.topic(Topic::Orders);
        let metrics = Metrics::new(&registry, &topic)?;
        let counted = Some(metrics.clone());
        let sender = Sender::new(&settings.kafka, &BULK, connection.clone(), counted)?;
        let auto = Auto::new(&settings, metrics.clone());
        let studio = Arc::new(Studio::new(sender, connection, auto)?);
        let router = http::router(Arc::clone(&studio)).merge(admin::router(readiness, registry));
        Ok(Self {
            listener,
            router,
            requests,
            studio,
            metrics,
            drain: settings.drain_timeout,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then drains.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self {
            listener,
            router,
            requests,
            studio,
            metrics,
            drain,
        } = self;
        let (by_itself, stop) = (Arc::clone(&studio), shutdown.clone());
        let by_itself = tokio::task::spawn_blocking(move || by_itself.produce_by_itself(&stop));
        let (ended, ..) = tokio::join!(
            by_itself,
            server::serve(listener, router, requests, shutdown.clone(), drain),
            shutdown.run_until_cancelled(metrics.measure()),
        );
        ended.context("the auto producer broke off")??;
        let last = tokio::task::spawn_blocking(move || studio.finish(RECEIPTS_WITHIN));
        last.await.context("the producer broke off")
    }
}
