//! The API.

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

use super::auto::Wishes;
use super::parameters::{Batch, Burst, Change};
use super::studio::{Made, Refusal, Studio};
use crate::plan::Plan;

/// When to ask again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type Shared = State<Arc<Studio>>;

/// The routes.
pub(super) fn router(studio: Arc<Studio>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/config", get(config).post(change))
        .route("/produce", post(produce))
        .route("/produce/batch", post(batch))
        .route("/burst", post(burst))
        .route("/start", post(start))
        .route("/stop", post(stop))
        .with_state(studio)
}

async fn health(State(studio): Shared) -> Response {
    let connected = studio.is_connected();
    let (code, status) = match connected {
        true => (StatusCode::OK, "healthy"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let body = json!({"status": status, "service": "load-generator", "kafka_connected": connected});
    (code, Json(body)).into_response()
}

#[derive(Serialize)]
struct Config {
    #[serde(flatten)]
    wishes: Wishes,
    topic: String,
}

impl Config {
    fn of(studio: &Studio, wishes: Wishes) -> Json<Self> {
        let topic = studio.topic().to_owned();
        Json(Self { wishes, topic })
    }
}

async fn config(State(studio): Shared) -> Json<Config> {
    Config::of(&studio, studio.auto.wishes())
}

async fn change(State(studio): Shared, change: Change) -> Result<Json<Config>, Problem> {
    let (now, _) = studio.auto.change(|wishes| {
        wishes.rate_ms = change.rate_ms.unwrap_or(wishes.rate_ms);
        wishes.batch_size = change.batch_size.unwrap_or(wishes.batch_size);
        wishes.running = change.running.unwrap_or(wishes.running);
    })?;
    Ok(Config::of(&studio, now))
}

async fn start(State(studio): Shared) -> Result<Response, Problem> {
    let (now, before) = studio.auto.change(|wishes| wishes.running = true)?;
    let status = if before.running {
        "already_running"
    } else {
        "started"
    };
    let body = json!({"status": status, "rate_ms": now.rate_ms, "batch_size": now.batch_size});
    Ok(Json(body).into_response())
}

async fn stop(State(studio): Shared) -> Result<Response, Problem> {
    studio.auto.change(|wishes| wishes.running = false)?;
    Ok(Json(json!({"status": "stopped"})).into_response())
}

async fn produce(State(studio): Shared) -> Result<Response, Problem> {
    let permit = studio.claim_single()?;
    let order = blocking(move |asked| {
        let order = studio.make_one(asked);
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

async fn batch(State(studio): Shared, batch: Batch) -> Result<Response, Problem> {
    let plan = Plan::Burst {
        count: batch.count,
        pause: Duration::ZERO,
    };
    let made = load(studio, plan).await?;
    let Made {
        total, successful, ..
    } = made;
    let failed = total - successful;
    let body = json!({"total": total, "successful": successful, "failed": failed});
    Ok(Json(body).into_response())
}

async fn burst(State(studio): Shared, burst: Burst) -> Result<Response, Problem> {
    let plan = Plan::Burst {
        count: burst.count,
        pause: Duration::from_millis(burst.delay_ms),
    };
    let made = load(studio, plan).await?;
    let seconds = made.time.as_secs_f64();
    let body = json!({
        "total": made.total,
        "successful": made.successful,
        "failed": made.total - made.successful,
        "duration_seconds": seconds,
        // A time of zero is one of no order.
        "messages_per_second": made.successful as f64 / seconds.max(f64::MIN_POSITIVE),
    });
    Ok(Json(body).into_response())
}

async fn load(studio: Arc<Studio>, plan: Plan) -> Result<Made, Problem> {
    let claim = studio.claim()?;
    let made = blocking(move |asked| {
        let made = studio.make(&plan, asked);
        drop(claim);
        made
    });
    made.await
}

/// Does work that blocks. It is told to stop when nobody waits for the answer any more.
async fn blocking<T: Send + 'static, E: Into<anyhow::Error> + Send + 'static>(
    work: impl FnOnce(CancellationToken) -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    let gone = CancellationToken::new();
    let _client = gone.clone().drop_guard();
    let done = tokio::task::spawn_blocking(move || work(gone)).await;
    let done = done.map_err(anyhow::Error::from);
    done.and_then(|done| done.map_err(Into::into))
        .map_err(|error| {
            tracing::error!("a load broke off: {error:#}");
            Problem::internal()
        })
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let conflict = |detail| Self::new(StatusCode::CONFLICT, detail);
        match refusal {
            Refusal::Burst => conflict(
                "a burst or a batch is on its way: one load at a time, else its rate would tell of two",
            ),
            Refusal::Auto => conflict(
                "orders are made by themselves: POST /stop first, else the rate would tell of two loads",
            ),
            Refusal::Crowd => Self::unavailable("too many orders are on their way", RETRY_AFTER),
            Refusal::NoBroker => Self::unavailable("no Kafka broker is reached", RETRY_AFTER),
        }
    }
}
