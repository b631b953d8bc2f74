//! The API: what the monitor can be asked.

mod alerts;
mod burst;
mod controls;
mod events;
mod groups;
mod health;
mod lag;
mod page;
mod recommendations;
mod scenarios;
mod selection;
mod state;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use chrono::Utc;
use cluster_reader::judge::Thresholds;
use kafka_runtime::KafkaSettings;
use kafka_admin::Cluster;
use serde::Serialize;
use service_kit::Problem;
use shared_events::NamePrefix;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::settings::Way;
use crate::text::time;
use crate::watch::{Stale, View, Watch};
use burst::Generator;

/// Most streams at once.
const STREAMS: usize = 32;

/// What the handlers share.
#[derive(Clone)]
pub struct Monitor {
    watch: Watch,
    kafka: Arc<KafkaSettings>,
    way: Way,
    generator: Generator,
    /// For the controls alone, and made when they are first asked for: its threads and buffers are most of the memory then.
    cluster: Arc<Mutex<Option<Cluster>>>,
    streams: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// From when on a group is in trouble, as every answer says it.
#[derive(Debug, Clone, Copy, Serialize)]
struct ThresholdsAnswer {
    warning: i64,
    critical: i64,
}

impl Monitor {
    /// What is told comes from the watch. Streams end at `shutdown`.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(
        watch: Watch,
        settings: &Settings,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            generator: Generator::new(&settings.load_generator_url)?,
            watch,
            kafka: Arc::new(settings.kafka.clone()),
            way: settings.sandbox_way,
            cluster: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            shutdown,
        })
    }

    fn prefix(&self) -> &NamePrefix {
        &self.kafka.name_prefix
    }

    fn thresholds(&self) -> ThresholdsAnswer {
        let thresholds: Thresholds = self.watch.rules().thresholds;
        ThresholdsAnswer {
            warning: thresholds.warning(),
            critical: thresholds.critical(),
        }
    }

    /// Looks at the figures that count now; 503 if there are none.
    fn look<T>(&self, look: impl FnOnce(View<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        self.watch
            .look(Utc::now(), look)
            .map_err(|stale| self.stale(stale))?
    }

    fn stale(&self, stale: Stale) -> Problem {
        let last = match stale.last_success {
            Some(at) => format!("it was last read at {}", time(at)),
            None => "it was never read since this process started".to_owned(),
        };
        let detail = format!("the cluster cannot be read now, so there are no figures; {last}");
        Problem::unavailable(detail, self.watch.rules().every)
    }
}

/// The routes of the monitor.
pub fn router(monitor: Monitor) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page/{file}", get(page::file))
        .route("/scenarios/{name}", get(scenarios::show))
        .route("/burst", post(burst::burst))
        .route("/health", get(health::health))
        .route("/lag", get(lag::lag))
        .route("/lag/history", get(lag::history))
        .route("/status", get(lag::status))
        .route("/alerts", get(alerts::list).delete(alerts::clear))
        .route("/recommendations", get(recommendations::list))
        .route("/groups", get(groups::list))
        .route("/events", get(events::stream))
        .route(
            "/services/{service}/controls",
            get(controls::show)
                .put(controls::set)
                .delete(controls::clear),
        )
        .with_state(monitor)
}
