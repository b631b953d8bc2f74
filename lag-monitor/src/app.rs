//! Wiring: every part of lag-monitor is built here.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use cluster_reader::transactions::Transactions;
use cluster_reader::{ClusterReader, ReaderSettings};
use prometheus::Registry;
use service_kit::settings::DRAIN_TIMEOUT;
use service_kit::{BoxFuture, Component, Readiness, RequestMetrics, admin, server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Monitor};
use crate::lag_state::{LagState, StateSettings};
use crate::poll::{self, CALL_TIMEOUT};
use crate::{NAME, Settings, instance_poll, metrics, transaction_search};

/// A monitor that is listening and has not polled the cluster yet.
pub struct App {
    reader: ClusterReader,
    state: LagState,
    kafka: Component,
    readiness: Readiness,
    registry: Registry,
    requests: RequestMetrics,
    settings: Settings,
    listener: TcpListener,
}

impl App {
    /// Validates the settings and binds the port. No broker is needed: without one the monitor
    /// starts and is not ready.
    pub fn build(settings: Settings) -> BoxFuture<anyhow::Result<Self>> {
        Box::pin(Self::try_build(settings))
    }

    async fn try_build(settings: Settings) -> anyhow::Result<Self> {
        let thresholds = settings.validate()?;
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;

        let registry = Registry::new();
        let requests = RequestMetrics::new(&registry)?;
        let readiness = Readiness::new(NAME);
        let kafka = readiness.component("kafka");
        let state = LagState::new(StateSettings {
            thresholds,
            poll_interval: settings.poll_interval(),
            default_group_topic: settings.default_group_topic(),
            name_prefix: settings.kafka.name_prefix.clone(),
        });
        metrics::register(&registry, &state)?;
        let mut reader = ClusterReader::new(ReaderSettings {
            bootstrap_servers: settings.kafka.bootstrap_servers.clone(),
            client_id: NAME.to_owned(),
            timeout: CALL_TIMEOUT,
        });
        reader.remember(&state.settings().default_group_topic.group);
        Ok(Self {
            reader,
            state,
            kafka,
            readiness,
            registry,
            requests,
            settings,
            listener,
        })
    }

    /// The bound address, with the port that was chosen if the setting is 0.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Polls the cluster and serves HTTP until `shutdown`.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<anyhow::Result<()>> {
        Box::pin(self.serve(shutdown))
    }

    async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let interval = self.settings.poll_interval();
        let monitor = Monitor::new(self.state.clone(), &self.settings, shutdown.clone())?;
        let router: Router =
            http::router(monitor).merge(admin::router(self.readiness, self.registry));
        let transactions = Transactions::new(ReaderSettings {
            bootstrap_servers: self.settings.kafka.bootstrap_servers.clone(),
            client_id: NAME.to_owned(),
            timeout: transaction_search::CALL_TIMEOUT,
        });
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("cannot build an HTTP client")?;
        tokio::join!(
            instance_poll::run(
                self.settings.instance_source(),
                client,
                self.state.clone(),
                interval,
                shutdown.clone()
            ),
            transaction_search::run(transactions, self.state.clone(), shutdown.clone()),
            poll::run(
                self.reader,
                self.state,
                interval,
                self.kafka,
                shutdown.clone()
            ),
            server::serve(
                self.listener,
                router,
                self.requests,
                shutdown,
                DRAIN_TIMEOUT
            ),
        );
        Ok(())
    }
}
