//! `POST /burst`: asked of load-generator here, so that the page need not talk to another origin than its own.

use std::time::Duration;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use service_kit::Problem;
use service_kit::body::Fields;

use super::Monitor;

/// How long it may take to find out that nobody is there.
const CONNECT: Duration = Duration::from_secs(2);

/// How long an answer may take: load-generator gives up after 18 s, and our own answer has to begin within 20 s.
const PATIENCE: Duration = Duration::from_secs(19);

/// Most bytes of an answer.
const ANSWER: usize = 64 * 1024;

/// When to ask again.
const LATER: Duration = Duration::from_secs(5);

/// load-generator, as it is asked over HTTP.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    client: Client,
    burst: Url,
}

/// What is passed on. The bounds are load-generator's to say.
#[derive(Serialize)]
struct Burst {
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<Box<RawValue>>,
}

/// What we read of a problem document.
#[derive(Deserialize)]
struct Refused {
    detail: String,
}

impl Generator {
    pub(super) fn new(url: &Url) -> anyhow::Result<Self> {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        Ok(Self {
            client: client.context("cannot make an HTTP client")?,
            burst: url
                .join("burst")
                .context("LOAD_GENERATOR_URL is no base of a URL")?,
        })
    }

    /// Status and body of its answer.
    async fn ask(&self, burst: &Burst) -> reqwest::Result<(reqwest::Response, Option<Bytes>)> {
        let request = self.client.post(self.burst.clone()).json(burst);
        let mut answer = request.send().await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > ANSWER {
                return Ok((answer, None));
            }
            body.extend_from_slice(&piece);
        }
        Ok((answer, Some(body.into())))
    }
}

/// Its answer as it is, and its refusal with status and detail; 503, 504 or 502 if there is none that can be understood.
pub(super) async fn burst(
    State(monitor): State<Monitor>,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let (count, delay_ms) = (
        fields.take_if_given("count"),
        fields.take_if_given("delay_ms"),
    );
    let burst = fields.finish(Some(Burst { count, delay_ms }))?;
    let (answer, body) = monitor
        .generator
        .ask(&burst)
        .await
        .map_err(|error| away(&error))?;
    let status = answer.status();
    let body = body.ok_or_else(not_understood)?;
    if status.is_success() {
        let is_json = serde_json::from_slice::<&RawValue>(&body).is_ok();
        return match is_json {
            true => Ok((status, [(CONTENT_TYPE, "application/json")], body).into_response()),
            false => Err(not_understood()),
        };
    }
    let refused: Refused = serde_json::from_slice(&body).map_err(|_| not_understood())?;
    let mut refusal = Problem::new(status, refused.detail).into_response();
    if let Some(later) = answer.headers().get(RETRY_AFTER) {
        refusal.headers_mut().insert(RETRY_AFTER, later.clone());
    }
    Ok(refusal)
}

fn away(error: &reqwest::Error) -> Problem {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "load-generator was asked for a burst and did not answer"
    );
    match error.is_timeout() && !error.is_connect() {
        true => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "load-generator did not answer in time: part of the orders may have been made",
        ),
        false => Problem::unavailable(
            "load-generator cannot be reached: is it running? ./sandbox up load-generator",
            LATER,
        ),
    }
}

fn not_understood() -> Problem {
    tracing::warn!("load-generator was asked for a burst, and its answer is none of its own");
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "what answers in load-generator's place is not load-generator: see LOAD_GENERATOR_URL",
    )
}
