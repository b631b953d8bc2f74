//! The one list of what is wired.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use cluster_reader::{ClusterReader, ReaderSettings};
use prometheus::Registry;
use service_kit::{Component, Readiness, Requests, admin, server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Monitor};
use crate::poll::{self, CALL_TIMEOUT};
use crate::watch::{Rules, Watch};
use crate::{NAME, Settings, metrics};

/// How long answers under way may take at the end. Streams end by themselves.
const DRAIN: Duration = Duration::from_secs(10);

/// A monitor that listens, and has not read the cluster yet.
pub struct App {
    reader: ClusterReader,
    watch: Watch,
    cluster: Component,
    readiness: Readiness,
    registry: Registry,
    requests: Requests,
    settings: Settings,
    listener: TcpListener,
}

impl App {
    /// Checks the settings and listens. Needs no broker: without one it is not ready.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        let thresholds = settings.validate()?;
        let address = SocketAddr::new(settings.http.bind_addr, settings.port);
        let listener = server::bind(address).await?;

        let registry = Registry::new();
        let requests = Requests::new(&registry)?;
        let readiness = Readiness::new(NAME);
        let cluster = readiness.component("kafka");
        let watch = Watch::new(Rules {
            thresholds,
            every: settings.interval(),
            first: settings.pair(),
        });
        metrics::register(&registry, &watch)?;
        let mut reader = ClusterReader::new(ReaderSettings {
            bootstrap_servers: settings.kafka.bootstrap_servers.clone(),
            client_id: NAME.to_owned(),
            timeout: CALL_TIMEOUT,
        });
        reader.remember(&watch.rules().first.group);
        Ok(Self {
            reader,
            watch,
            cluster,
            readiness,
            registry,
            requests,
            settings,
            listener,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Watches and answers until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let every = self.settings.interval();
        let monitor = Monitor::new(self.watch.clone(), &self.settings, shutdown.clone())?;
        let router: Router =
            http::router(monitor).merge(admin::router(self.readiness, self.registry));
        tokio::join!(
            poll::run(
                self.reader,
                self.watch,
                every,
                self.cluster,
                shutdown.clone()
            ),
            server::serve(self.listener, router, self.requests, shutdown, DRAIN),
        );
        Ok(())
    }
}
