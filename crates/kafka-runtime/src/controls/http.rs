//! The controls over HTTP: of this one instance.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::body::Fields;
use service_kit::problem::FieldError;
use shared_events::GroupControls;

use super::whole::{BatchMax, ProcessingTime};
use super::{Applied, Controls, Health, InForce};

/// What `POST /slow` means, milliseconds, unless told.
const SLOW_MS: u32 = 2_000;

/// What `POST /fast` means, milliseconds, unless told.
const FAST_MS: u32 = 50;

const FORM: &str = "application/x-www-form-urlencoded";

/// Most wrong parameters named in one answer.
const MOST_ERRORS: usize = 20;

/// `GET /health`, `GET /stats`, `GET` and `POST /config`, `POST /pause`, `/resume`, `/slow` and `/fast`. What is asked here is
/// asked of this instance, until its group is asked for the same.
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
struct HealthAnswer {
    status: Health,
    service: &'static str,
    instance_id: String,
    consuming: bool,
    paused: bool,
}

async fn health(State(controls): State<Controls>) -> (StatusCode, Json<HealthAnswer>) {
    let standing = controls.state().standing.clone();
    let code = match standing.health {
        Health::Healthy | Health::Degraded => StatusCode::OK,
        Health::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let answer = HealthAnswer {
        status: standing.health,
        service: controls.identity.service.name(),
        instance_id: controls.identity.instance_id.clone(),
        consuming: standing.running && !standing.paused && !standing.assigned.is_empty(),
        paused: standing.paused,
    };
    (code, Json(answer))
}

/// What a member does: the answer to `GET /stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The number of its instance.
    pub instance_id: String,
    /// Its consumer group, by its name on the broker.
    pub group_id: String,
    /// The first of its topics, by its name on the broker.
    pub topic: String,
    /// The simulated work that it is told, milliseconds a handler call.
    pub processing_time_ms: u32,
    /// Whether its loop runs.
    pub running: bool,
    /// Whether it takes no records, on purpose.
    pub paused: bool,
    /// Records of the batches it has settled since it was started.
    pub messages_processed: u64,
    /// When it settled the last of them.
    pub last_message_time: Option<DateTime<Utc>>,
    /// Its partitions of the first topic.
    pub assigned_partitions: Vec<i32>,
    /// Its partitions of every topic.
    pub assignment: BTreeMap<String, Vec<i32>>,
    /// What its last batch was taken with, if it has taken one.
    pub applied: Option<Applied>,
}

async fn stats(State(controls): State<Controls>) -> Json<Stats> {
    let identity = &controls.identity;
    let topic = identity.topics.names().first().copied().unwrap_or_default();
    let state = controls.state();
    let assignment = controls.assignment(&state.standing.assigned);
    Json(Stats {
        instance_id: identity.instance_id.clone(),
        group_id: identity.group_id.clone(),
        topic: topic.to_owned(),
        processing_time_ms: state.layers.in_force().processing_time_ms,
        running: state.standing.running,
        paused: state.standing.paused,
        messages_processed: state.processed,
        last_message_time: state.last_message,
        assigned_partitions: assignment.get(topic).cloned().unwrap_or_default(),
        assignment,
        applied: state.applied,
    })
}

async fn config(State(controls): State<Controls>) -> Json<InForce> {
    Json(controls.in_force())
}

async fn configure(
    State(controls): State<Controls>,
    fields: Fields,
) -> Result<Json<InForce>, Problem> {
    Ok(Json(controls.ask(asked_for(fields)?)))
}

/// What a JSON body asks for. Whatever is wrong with it is answered with the field and its bounds.
pub fn asked_for(mut fields: Fields) -> Result<GroupControls, Problem> {
    let time: Option<ProcessingTime> = fields.take_if_given("processing_time_ms");
    let batch: Option<BatchMax> = fields.take_if_given("batch_max");
    let wanted = GroupControls {
        processing_time_ms: time.map(|time| time.0),
        batch_max: batch.map(|most| most.0),
        paused: fields.take_if_given("paused"),
    };
    fields.finish(Some(wanted))
}

/// The answer to a wish.
#[derive(Serialize)]
struct Answer {
    status: &'static str,
    instance_id: String,
}

async fn pause(State(controls): State<Controls>) -> Json<Answer> {
    controls.pause();
    Json(Answer {
        status: "paused",
        instance_id: controls.identity.instance_id.clone(),
    })
}

async fn resume(State(controls): State<Controls>) -> Json<Answer> {
    controls.resume();
    Json(Answer {
        status: "running",
        instance_id: controls.identity.instance_id.clone(),
    })
}

#[derive(Serialize)]
struct Pace {
    processing_time_ms: u32,
    batch_max: u32,
}

async fn slow(State(controls): State<Controls>, TimeMs(time): TimeMs) -> Json<Pace> {
    work(&controls, time.unwrap_or(SLOW_MS))
}

async fn fast(State(controls): State<Controls>, TimeMs(time): TimeMs) -> Json<Pace> {
    work(&controls, time.unwrap_or(FAST_MS))
}

fn work(controls: &Controls, time_ms: u32) -> Json<Pace> {
    let InForce {
        processing_time_ms,
        batch_max,
        ..
    } = controls.ask(GroupControls {
        processing_time_ms: Some(time_ms),
        ..GroupControls::default()
    });
    Json(Pace {
        processing_time_ms,
        batch_max,
    })
}

/// `time_ms`, from the query or from a form: `curl -d time_ms=50` sends the latter.
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

/// A form is written as a query is.
fn form(body: &[u8]) -> Option<Vec<(String, String)>> {
    let uri = [b"/?", body].concat();
    pairs(&Uri::try_from(uri).ok()?)
}

fn time_ms(given: Vec<(String, String)>) -> Result<Option<u32>, Problem> {
    let (times, others): (Vec<_>, Vec<_>) =
        given.into_iter().partition(|(name, _)| name == "time_ms");
    let unknown = others.into_iter().take(MOST_ERRORS);
    let mut errors: Vec<FieldError> = unknown
        .map(|(name, _)| FieldError::new(name, "is not a parameter of this request"))
        .collect();
    if times.len() > 1 {
        errors.push(FieldError::new("time_ms", "is given twice"));
    }
    let mut time = None;
    for (_, value) in times.into_iter().take(1) {
        match value.parse::<ProcessingTime>() {
            Ok(within) => time = Some(within.0),
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

    fn of(text: &str) -> Result<Option<u32>, u16> {
        time_ms(form(text.as_bytes()).unwrap()).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_time_is_given_once_and_within_its_bounds() {
        assert_eq!(of(""), Ok(None));
        assert_eq!(of("time_ms=0"), Ok(Some(0)));
        assert_eq!(of("time_ms=30000"), Ok(Some(30_000)));
        for wrong in [
            "time_ms=30001",
            "time_ms=-1",
            "time_ms=1.5",
            "time_ms=",
            "time_ms=1&time_ms=1",
            "time=1",
            "time_ms=1&colour=2",
        ] {
            assert_eq!(of(wrong), Err(422), "{wrong}");
        }
        assert!(form(b"\xff\x00").is_none());
    }
}
