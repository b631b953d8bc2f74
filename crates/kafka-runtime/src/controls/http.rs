//! The HTTP interface of the controls, for this instance only.

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use service_kit::json_fields::JsonFields;
use service_kit::problem::FieldError;
use service_kit::{BoundedInt, Problem};
use shared_events::GroupControls;
use shared_events::controls::{
    BATCH_MAX_MAX, PROCESSING_TIME_MS_MAX, PROCESSING_TIME_MS_UNSAFE_MAX,
};
use shared_events::member_api::{EffectiveConfig, MemberStats};

use super::{Controls, Health};

type ProcessingTime = BoundedInt<0, { PROCESSING_TIME_MS_MAX as u64 }>;
/// With `SANDBOX_UNSAFE=1`.
type LongProcessingTime = BoundedInt<0, { PROCESSING_TIME_MS_UNSAFE_MAX as u64 }>;
type BatchMax = BoundedInt<1, { BATCH_MAX_MAX as u64 }>;

/// Simulated work of `POST /slow` without `time_ms`, milliseconds.
const SLOW_MS: u32 = 2_000;

/// Simulated work of `POST /fast` without `time_ms`, milliseconds.
const FAST_MS: u32 = 50;

const FORM: &str = "application/x-www-form-urlencoded";

/// Unknown parameters named in one response at most.
const MAX_ERRORS: usize = 20;

/// `GET /health`, `GET /stats`, `GET` and `POST /config`, `POST /pause`, `/resume`, `/slow` and `/fast`. A setting made
/// here is for this instance, until a later record of `sandbox.controls` sets the same field.
pub fn router(controls: Controls) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/stats", get(stats))
        .route("/config", get(config).post(configure))
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/slow", post(slow))
        .route("/fast", post(fast))
        .with_state(controls)
}

#[derive(Serialize)]
struct HealthResponse {
    status: Health,
    service: &'static str,
    instance_id: String,
    consuming: bool,
    paused: bool,
}

async fn health(State(controls): State<Controls>) -> (StatusCode, Json<HealthResponse>) {
    let member = controls.state().status.clone();
    let code = match member.health {
        Health::Healthy | Health::Degraded => StatusCode::OK,
        Health::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let response = HealthResponse {
        status: member.health,
        service: controls.identity.service.name(),
        instance_id: controls.identity.instance_id.clone(),
        consuming: member.running && !member.paused && !member.assigned.is_empty(),
        paused: member.paused,
    };
    (code, Json(response))
}

async fn stats(State(controls): State<Controls>) -> Json<MemberStats> {
    Json(controls.stats())
}

async fn config(State(controls): State<Controls>) -> Json<EffectiveConfig> {
    Json(controls.effective())
}

async fn configure(
    State(controls): State<Controls>,
    fields: JsonFields,
) -> Result<Json<EffectiveConfig>, Problem> {
    let allowed = controls.faults.are_allowed();
    let settings = parse_group_controls(fields, allowed)?;
    let faults = settings.faults();
    if !faults.is_empty() && !allowed {
        let limit = "needs SANDBOX_UNSAFE=1, which this process runs without";
        let errors = faults.iter().map(|field| FieldError::new(*field, limit));
        return Err(Problem::invalid(errors.collect()));
    }
    Ok(Json(controls.update(settings)))
}

/// Parses the JSON body of `POST /config`. Fields that are absent are `None`. The result may hold faults; the bound of the
/// processing time depends on whether they are allowed.
///
/// # Errors
/// 422 with each wrong field and its bounds.
pub fn parse_group_controls(
    mut fields: JsonFields,
    faults_allowed: bool,
) -> Result<GroupControls, Problem> {
    let name = "processing_time_ms";
    let time = if faults_allowed {
        let time: Option<LongProcessingTime> = fields.take_if_given(name);
        time.map(BoundedInt::get_u32)
    } else {
        let time: Option<ProcessingTime> = fields.take_if_given(name);
        time.map(BoundedInt::get_u32)
    };
    let batch: Option<BatchMax> = fields.take_if_given("batch_max");
    let settings = GroupControls {
        processing_time_ms: time,
        batch_max: batch.map(BoundedInt::get_u32),
        paused: fields.take_if_given("paused"),
        crash_at: fields.take_if_given("crash_at"),
        crash_at_repeat: fields.take_if_given("crash_at_repeat"),
        crash_at_since: fields.take_if_given("crash_at_since"),
        protection_off: fields.take_if_given("protection_off"),
    };
    let settings = fields.finish(Some(settings))?;
    match settings.validate() {
        Ok(()) => Ok(settings),
        Err(limit) => Err(Problem::invalid(vec![FieldError::new(
            "crash_at",
            limit.to_string(),
        )])),
    }
}

/// The response to `POST /pause` and `POST /resume`.
#[derive(Serialize)]
struct PauseResponse {
    status: &'static str,
    instance_id: String,
}

async fn pause(State(controls): State<Controls>) -> Json<PauseResponse> {
    controls.pause();
    Json(PauseResponse {
        status: "paused",
        instance_id: controls.identity.instance_id.clone(),
    })
}

async fn resume(State(controls): State<Controls>) -> Json<PauseResponse> {
    controls.resume();
    Json(PauseResponse {
        status: "running",
        instance_id: controls.identity.instance_id.clone(),
    })
}

#[derive(Serialize)]
struct WorkResponse {
    processing_time_ms: u32,
    batch_max: u32,
}

async fn slow(State(controls): State<Controls>, TimeMs(time): TimeMs) -> Json<WorkResponse> {
    set_work(&controls, time.unwrap_or(SLOW_MS))
}

async fn fast(State(controls): State<Controls>, TimeMs(time): TimeMs) -> Json<WorkResponse> {
    set_work(&controls, time.unwrap_or(FAST_MS))
}

fn set_work(controls: &Controls, time_ms: u32) -> Json<WorkResponse> {
    let EffectiveConfig {
        processing_time_ms,
        batch_max,
        ..
    } = controls.update(GroupControls {
        processing_time_ms: Some(time_ms),
        ..GroupControls::default()
    });
    Json(WorkResponse {
        processing_time_ms,
        batch_max,
    })
}

/// `time_ms`, from the query or from a form. `curl -d time_ms=50` sends a form.
struct TimeMs(Option<u32>);

impl<S: Send + Sync> FromRequest<S> for TimeMs {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let query = pairs(request.uri());
        let mut given =
            query.ok_or_else(|| Problem::bad_request("the query of the URL cannot be read"))?;
        let is_form = is_form(request.headers());
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|_| Problem::bad_request("the body cannot be read"))?;
        match (body.is_empty(), is_form) {
            (true, _) => {}
            (false, false) => return Err(Problem::unsupported_media_type(FORM)),
            (false, true) => {
                let form = form(&body);
                let form = form.ok_or_else(|| Problem::bad_request("the body is not a form"))?;
                given.extend(form);
            }
        }
        time_ms(given).map(Self)
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(FORM))
}

fn pairs(uri: &Uri) -> Option<Vec<(String, String)>> {
    Query::try_from_uri(uri).ok().map(|Query(pairs)| pairs)
}

/// A form has the syntax of a query.
fn form(body: &[u8]) -> Option<Vec<(String, String)>> {
    let uri = [b"/?", body].concat();
    pairs(&Uri::try_from(uri).ok()?)
}

fn time_ms(given: Vec<(String, String)>) -> Result<Option<u32>, Problem> {
    let (times, others): (Vec<_>, Vec<_>) =
        given.into_iter().partition(|(name, _)| name == "time_ms");
    let unknown = others.into_iter().take(MAX_ERRORS);
    let mut errors: Vec<FieldError> = unknown
        .map(|(name, _)| FieldError::new(name, "is not a parameter of this request"))
        .collect();
    if times.len() > 1 {
        errors.push(FieldError::new("time_ms", "is given twice"));
    }
    let mut time = None;
    for (_, value) in times.into_iter().take(1) {
        match value.parse::<ProcessingTime>() {
            Ok(valid) => time = Some(valid.get_u32()),
            Err(limit) => errors.push(FieldError::new("time_ms", limit)),
        }
    }
    match errors.is_empty() {
        true => Ok(time),
        false => Err(Problem::invalid(errors)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<u32>, u16> {
        time_ms(form(text.as_bytes()).unwrap()).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_time_is_given_once_and_within_bounds() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("time_ms=0"), Ok(Some(0)));
        assert_eq!(parse("time_ms=30000"), Ok(Some(30_000)));
        for wrong in [
            "time_ms=30001",
            "time_ms=-1",
            "time_ms=1.5",
            "time_ms=",
            "time_ms=1&time_ms=1",
            "time=1",
            "time_ms=1&colour=2",
        ] {
            assert_eq!(parse(wrong), Err(422), "{wrong}");
        }
        assert!(form(b"\xff\x00").is_none());
    }
}
