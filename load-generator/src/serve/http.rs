//! The HTTP API.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use service_kit::Problem;
use tokio_util::sync::CancellationToken;

use super::continuous::AutoConfig;
use super::load_controller::{LoadController, LoadRefused, LoadResult};
use super::load_requests::{BatchRequest, BurstRequest, ConfigRequest};
use crate::load_plan::LoadPlan;

/// `Retry-After` of a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type Controller = State<Arc<LoadController>>;

pub(super) fn router(controller: Arc<LoadController>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/config", get(config).post(change_config))
        .route("/produce", post(produce))
        .route("/produce/batch", post(batch))
        .route("/burst", post(burst))
        .route("/start", post(start))
        .route("/stop", post(stop))
        .with_state(controller)
}

async fn health(State(controller): Controller) -> Response {
    let connected = controller.is_connected();
    let (code, status) = match connected {
        true => (StatusCode::OK, "healthy"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let body = json!({"status": status, "service": "load-generator", "kafka_connected": connected});
    (code, Json(body)).into_response()
}

#[derive(Serialize)]
struct ConfigView {
    #[serde(flatten)]
    config: AutoConfig,
    topic: String,
}

impl ConfigView {
    fn new(controller: &LoadController, config: AutoConfig) -> Json<Self> {
        let topic = controller.topic().to_owned();
        Json(Self { config, topic })
    }
}

async fn config(State(controller): Controller) -> Json<ConfigView> {
    ConfigView::new(&controller, controller.auto.config())
}

async fn change_config(
    State(controller): Controller,
    request: ConfigRequest,
) -> Result<Json<ConfigView>, Problem> {
    let (new, _) = controller.auto.update(|config| {
        config.rate_ms = request.rate_ms.unwrap_or(config.rate_ms);
        config.batch_size = request.batch_size.unwrap_or(config.batch_size);
        config.running = request.running.unwrap_or(config.running);
    })?;
    Ok(ConfigView::new(&controller, new))
}

async fn start(State(controller): Controller) -> Result<Response, Problem> {
    let (new, old) = controller.auto.update(|config| config.running = true)?;
    let status = if old.running {
        "already_running"
    } else {
        "started"
    };
    let body = json!({"status": status, "rate_ms": new.rate_ms, "batch_size": new.batch_size});
    Ok(Json(body).into_response())
}

async fn stop(State(controller): Controller) -> Result<Response, Problem> {
    controller.auto.update(|config| config.running = false)?;
    Ok(Json(json!({"status": "stopped"})).into_response())
}

async fn produce(State(controller): Controller) -> Result<Response, Problem> {
    let permit = controller.acquire_single_permit()?;
    let order = blocking(move |cancelled| {
        let order = controller.produce_one(cancelled);
        drop(permit);
        order
    });
    match order.await? {
        Some(order) => Ok(Json(json!({"success": true, "order": order})).into_response()),
        None => Err(Problem::unavailable(
            "the order was not acknowledged",
            RETRY_AFTER,
        )),
    }
}

async fn batch(State(controller): Controller, request: BatchRequest) -> Result<Response, Problem> {
    let plan = LoadPlan::Burst {
        count: request.count,
        pause: Duration::ZERO,
    };
    let LoadResult {
        total, successful, ..
    } = run_load(controller, plan).await?;
    let failed = total - successful;
    let body = json!({"total": total, "successful": successful, "failed": failed});
    Ok(Json(body).into_response())
}

async fn burst(State(controller): Controller, request: BurstRequest) -> Result<Response, Problem> {
    let plan = LoadPlan::Burst {
        count: request.count,
        pause: Duration::from_millis(request.delay_ms),
    };
    let result = run_load(controller, plan).await?;
    let seconds = result.duration.as_secs_f64();
    let body = json!({
        "total": result.total,
        "successful": result.successful,
        "failed": result.total - result.successful,
        "duration_seconds": seconds,
        // 0 seconds means that no order was acknowledged.
        "messages_per_second": result.successful as f64 / seconds.max(f64::MIN_POSITIVE),
    });
    Ok(Json(body).into_response())
}

async fn run_load(controller: Arc<LoadController>, plan: LoadPlan) -> Result<LoadResult, Problem> {
    let permit = controller.acquire_load_permit()?;
    let result = blocking(move |cancelled| {
        let result = controller.run_load(&plan, cancelled);
        drop(permit);
        result
    });
    result.await
}

/// Runs work that blocks. Its token is cancelled when the client has disconnected, because axum
/// then drops this future.
async fn blocking<T: Send + 'static, E: Into<anyhow::Error> + Send + 'static>(
    work: impl FnOnce(CancellationToken) -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    let cancelled = CancellationToken::new();
    let _cancel_on_drop = cancelled.clone().drop_guard();
    let result = tokio::task::spawn_blocking(move || work(cancelled)).await;
    let result = result.map_err(anyhow::Error::from);
    result
        .and_then(|result| result.map_err(Into::into))
        .map_err(|error| {
            tracing::error!("a load failed: {error:#}");
            Problem::internal()
        })
}

impl From<LoadRefused> for Problem {
    fn from(refused: LoadRefused) -> Self {
        let conflict = |detail| Self::new(StatusCode::CONFLICT, detail);
        match refused {
            LoadRefused::LoadRunning => conflict(
                "a burst or a batch is running: only one load runs at a time, so that its rate is its own",
            ),
            LoadRefused::AutoProducerRunning => conflict(
                "the auto producer is running: POST /stop first, so that the rate of the load is its own",
            ),
            LoadRefused::TooManySingleOrders => {
                Self::unavailable("too many single orders are in flight", RETRY_AFTER)
            }
            LoadRefused::NoBroker => Self::unavailable("no Kafka broker is reached", RETRY_AFTER),
        }
    }
}
