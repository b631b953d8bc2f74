//! The wiring: which parts there are, and how they start and stop.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use kafka_runtime::{Member, controls};
use prometheus::Registry;
use service_kit::trace::Tracer;
use service_kit::{BoxFuture, Readiness, RequestMetrics, admin, instance, server};
use shared_events::Service;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::gateway::{HttpGateway, RuleOnly};
use crate::handler::PaymentHandler;
use crate::metrics::Metrics;

/// A service that listens but does not answer yet.
pub struct App {
    member: Member,
    listener: TcpListener,
    router: Router,
    requests: RequestMetrics,
    tracer: Tracer,
    drain: Duration,
}

impl App {
    /// Checks the settings, binds the port, and starts the member. The broker need not be up: the
    /// member joins its group when it is.
    pub fn build(settings: Settings) -> BoxFuture<anyhow::Result<Self>> {
        Box::pin(Self::try_build(settings))
    }

    async fn try_build(settings: Settings) -> anyhow::Result<Self> {
        let mut member = settings.validate()?;
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;

        let registry = Registry::new();
        let readiness = Readiness::new(Service::Payment.name());
        let requests = RequestMetrics::new(&registry)?;
        let metrics = Metrics::new(&registry)?;
        let instance = instance::number(member.kafka.slot).await;
        let tracer = Tracer::new(&settings.trace, Service::Payment.name(), instance)?;
        member.tracer = tracer.clone();
        let member = match &settings.payment_gateway_url {
            Some(url) => {
                let handler = PaymentHandler::new(HttpGateway::new(url)?, metrics);
                Member::start(member, instance, handler, &readiness, &registry)?
            }
            None => {
                let handler = PaymentHandler::new(RuleOnly, metrics);
                Member::start(member, instance, handler, &readiness, &registry)?
            }
        };
        let router = admin::router(readiness, registry).merge(controls::router(member.controls()));
        Ok(Self {
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

    /// Serves until `shutdown`, then drains. Fails if the member cannot continue.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<anyhow::Result<()>> {
        Box::pin(self.serve(shutdown))
    }

    async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let (member, ()) = tokio::join!(
            self.member.run(shutdown.clone(), self.drain),
            server::serve(
                self.listener,
                self.router,
                self.requests,
                shutdown,
                self.drain
            ),
        );
        self.tracer.stop().await;
        Ok(member?)
    }
}
