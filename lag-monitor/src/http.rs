//! The HTTP interface. Each route has a file named after its path, with its query parameters, their
//! bounds and its answer.

mod alerts;
mod autoscaler;
mod burst;
mod controls;
mod events;
mod group_topic_query;
mod groups;
mod health;
mod instance_answer;
mod lag;
mod lag_history;
mod losses;
mod page;
mod recommendations;
mod scenarios;
mod state_event;
mod status;
mod transactions;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use chrono::Utc;
use kafka_admin::Cluster;
use kafka_admin::KafkaSettings;
use serde::Serialize;
use service_kit::{Mode, Problem};
use shared_events::NamePrefix;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::format::rfc3339;
use crate::lag_state::{CurrentState, LagState, StaleData};
use burst::LoadGeneratorClient;

/// Most event streams at the same time.
const MAX_STREAMS: usize = 32;

/// Shared by all handlers.
#[derive(Clone)]
pub struct Monitor {
    state: LagState,
    kafka: Arc<KafkaSettings>,
    mode: Mode,
    load_generator: LoadGeneratorClient,
    /// Used by the controls only. Created by the first request for controls, since its threads and
    /// buffers then take most of the process's memory.
    cluster: Arc<Mutex<Option<Cluster>>>,
    streams: Arc<Semaphore>,
    shutdown: CancellationToken,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct ThresholdsAnswer {
    warning: i64,
    critical: i64,
}

impl Monitor {
    /// Event streams end at `shutdown`.
    ///
    /// # Errors
    /// If the HTTP client for load-generator cannot be built.
    pub fn new(
        state: LagState,
        settings: &Settings,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            load_generator: LoadGeneratorClient::new(&settings.load_generator_url)?,
            state,
            kafka: Arc::new(settings.kafka.clone()),
            mode: settings.mode,
            cluster: Arc::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            shutdown,
        })
    }

    fn prefix(&self) -> &NamePrefix {
        &self.kafka.name_prefix
    }

    fn thresholds(&self) -> ThresholdsAnswer {
        let thresholds = self.state.settings().thresholds;
        ThresholdsAnswer {
            warning: thresholds.warning(),
            critical: thresholds.critical(),
        }
    }

    /// Calls `read` with the current data; 503 if there is none.
    fn read_current<T>(
        &self,
        read: impl FnOnce(CurrentState<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.state
            .read_current(Utc::now(), read)
            .map_err(|stale| self.no_current_data(stale))?
    }

    fn no_current_data(&self, stale: StaleData) -> Problem {
        let last = match stale.last_success {
            Some(at) => format!("it was last read at {}", rfc3339(at)),
            None => "it has not been read since this process started".to_owned(),
        };
        let detail =
            format!("the cluster cannot be read now, so there is no current lag data; {last}");
        Problem::unavailable(detail, self.state.settings().poll_interval)
    }
}

/// All routes except those of [`service_kit::admin`].
pub fn router(monitor: Monitor) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page/{file}", get(page::file))
        .route("/scenarios/{name}", get(scenarios::show))
        .route("/burst", post(burst::burst))
        .route("/health", get(health::health))
        .route("/lag", get(lag::lag))
        .route("/lag/history", get(lag_history::lag_history))
        .route("/status", get(status::status))
        .route("/alerts", get(alerts::list).delete(alerts::clear))
        .route("/losses", get(losses::list))
        .route("/losses/acknowledge", post(losses::acknowledge))
        .route("/transactions", get(transactions::list))
        .route("/recommendations", get(recommendations::list))
        .route("/groups", get(groups::list))
        .route("/events", get(events::stream))
        .route(
            "/services/{service}/controls",
            get(controls::show)
                .put(controls::set)
                .delete(controls::clear),
        )
        .route(
            "/services/{service}/autoscaler",
            get(autoscaler::show).put(autoscaler::set),
        )
        .with_state(monitor)
}
