//! The service: loads that are requested over HTTP, and the auto producer.

mod continuous;
mod http;
mod load_controller;
mod load_requests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use kafka_admin::{BrokerHealth, ClientKind, Criticality};
use prometheus::Registry;
use service_kit::{Readiness, RequestMetrics, admin, server};
use shared_events::Topic;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::continuous::AutoProducer;
use self::load_controller::LoadController;
use crate::kafka_target::KafkaTarget;
use crate::metrics::Metrics;
use crate::settings::{DEFAULT_BULK, ServeSettings};

/// How long the last delivery reports may take when the service stops.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3);

/// A service that listens but does not answer yet.
pub struct App {
    listener: TcpListener,
    router: Router,
    requests: RequestMetrics,
    controller: Arc<LoadController>,
    metrics: Metrics,
    drain: Duration,
}

impl App {
    /// Binds the port and makes the producer. The broker need not be up: without it the service is
    /// not ready, and answers requests for orders with 503.
    pub async fn build(settings: ServeSettings) -> anyhow::Result<Self> {
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;
        let registry = Registry::new();
        let readiness = Readiness::new("load-generator");
        let requests = RequestMetrics::new(&registry)?;
        let health = BrokerHealth::new(readiness.component("kafka"), Criticality::Required)
            .with_metrics(&registry, ClientKind::Producer)?;
        let topic = settings.kafka.name_prefix.topic(Topic::Orders);
        let metrics = Metrics::new(&registry, &topic)?;
        let target = KafkaTarget::new(
            &settings.kafka,
            &DEFAULT_BULK,
            health.clone(),
            Some(metrics.clone()),
        )?;
        let auto = AutoProducer::new(&settings, metrics.clone());
        let controller = Arc::new(LoadController::new(target, health, auto)?);
        let router =
            http::router(Arc::clone(&controller)).merge(admin::router(readiness, registry));
        Ok(Self {
            listener,
            router,
            requests,
            controller,
            metrics,
            drain: settings.drain.drain_timeout,
        })
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then drains.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self {
            listener,
            router,
            requests,
            controller,
            metrics,
            drain,
        } = self;
        let (auto, stop) = (Arc::clone(&controller), shutdown.clone());
        let auto = tokio::task::spawn_blocking(move || auto.run_auto_producer(&stop));
        // Whatever ends the auto producer ends the process.
        let auto = async {
            let ended = auto.await;
            shutdown.cancel();
            ended
        };
        let (auto, ..) = tokio::join!(
            auto,
            server::serve(listener, router, requests, shutdown.clone(), drain),
            shutdown.run_until_cancelled(metrics.measure_rate()),
        );
        auto.context("the auto producer panicked")??;
        let finish = tokio::task::spawn_blocking(move || controller.finish(DELIVERY_TIMEOUT));
        finish.await.context("the producer panicked")
    }
}
