//! The wiring.

use std::net::SocketAddr;

use axum::Router;
use prometheus::Registry;
use service_kit::settings::DRAIN_TIMEOUT;
use service_kit::{Readiness, RequestMetrics, admin, server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::Gateway;
use crate::settings::{NAME, Settings};

/// A gateway that listens but does not answer yet.
pub struct App {
    listener: TcpListener,
    router: Router,
    requests: RequestMetrics,
}

impl App {
    /// Binds the port.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;
        let registry = Registry::new();
        let requests = RequestMetrics::new(&registry)?;
        let limit = usize::try_from(settings.payment_limit).unwrap_or(usize::MAX);
        let gateway = Gateway::new(limit, &registry)?;
        let admin = admin::router(Readiness::new(NAME), registry);
        Ok(Self {
            listener,
            router: gateway.router().merge(admin),
            requests,
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then drains.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            listener,
            router,
            requests,
        } = self;
        server::serve(listener, router, requests, shutdown, DRAIN_TIMEOUT).await;
    }
}
