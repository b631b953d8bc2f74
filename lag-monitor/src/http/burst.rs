//! `POST /burst`: forwards a burst of orders to load-generator, since the page may call only its
//! own origin.

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
use service_kit::json_fields::JsonFields;

use super::Monitor;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longer than the 18 s after which load-generator gives up, and shorter than the 20 s within which
/// this answer must begin.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(19);

/// Most bytes of load-generator's answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// `Retry-After` while load-generator is not reachable.
const RETRY_DELAY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(super) struct LoadGeneratorClient {
    client: Client,
    burst: Url,
}

/// The fields are forwarded as given: load-generator checks their bounds.
#[derive(Serialize)]
struct BurstRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<Box<RawValue>>,
}

/// A problem document, as far as it is forwarded.
#[derive(Deserialize)]
struct ProblemDocument {
    detail: String,
}

impl LoadGeneratorClient {
    pub(super) fn new(url: &Url) -> anyhow::Result<Self> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        Ok(Self {
            client: client.context("cannot build an HTTP client")?,
            burst: url
                .join("burst")
                .context("LOAD_GENERATOR_URL is not a base URL")?,
        })
    }

    /// The answer and its body; the body is `None` if it is too long.
    async fn post_burst(
        &self,
        burst: &BurstRequest,
    ) -> reqwest::Result<(reqwest::Response, Option<Bytes>)> {
        let request = self.client.post(self.burst.clone()).json(burst);
        let mut answer = request.send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Ok((answer, None));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((answer, Some(body.into())))
    }
}

/// Returns load-generator's answer, or its problem with status, detail and `Retry-After`. 503 if
/// load-generator is not reachable, 504 if it does not answer in time, 502 if the answer is not
/// load-generator's.
pub(super) async fn burst(
    State(monitor): State<Monitor>,
    mut fields: JsonFields,
) -> Result<Response, Problem> {
    let (count, delay_ms) = (
        fields.take_if_given("count"),
        fields.take_if_given("delay_ms"),
    );
    let burst = fields.finish(Some(BurstRequest { count, delay_ms }))?;
    let (answer, body) = monitor
        .load_generator
        .post_burst(&burst)
        .await
        .map_err(|error| no_answer(&error))?;
    let status = answer.status();
    let body = body.ok_or_else(not_load_generator)?;
    if status.is_success() {
        let is_json = serde_json::from_slice::<&RawValue>(&body).is_ok();
        return match is_json {
            true => Ok((status, [(CONTENT_TYPE, "application/json")], body).into_response()),
            false => Err(not_load_generator()),
        };
    }
    let document: ProblemDocument =
        serde_json::from_slice(&body).map_err(|_| not_load_generator())?;
    let mut problem = Problem::new(status, document.detail).into_response();
    if let Some(retry_after) = answer.headers().get(RETRY_AFTER) {
        problem
            .headers_mut()
            .insert(RETRY_AFTER, retry_after.clone());
    }
    Ok(problem)
}

fn no_answer(error: &reqwest::Error) -> Problem {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "load-generator did not answer a request for a burst"
    );
    match error.is_timeout() && !error.is_connect() {
        true => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "load-generator did not answer in time: some of the orders may have been created",
        ),
        false => Problem::unavailable(
            "load-generator cannot be reached: is it running? ./sandbox up load-generator",
            RETRY_DELAY,
        ),
    }
}

fn not_load_generator() -> Problem {
    tracing::warn!("the answer to a request for a burst is not load-generator's");
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "the program at LOAD_GENERATOR_URL is not load-generator",
    )
}
