//! The requests of the API, with their bounds.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use service_kit::json_fields::JsonFields;
use service_kit::problem::FieldError;
use service_kit::query_params::QueryParams;
use service_kit::{BoundedInt, Problem};

use super::load_controller::SEND_TIMEOUT;
use crate::load_plan::PAUSE_EVERY;
use crate::settings::{BATCH_SIZE, RATE_MS};

/// Most orders of `POST /produce/batch`.
const MAX_BATCH: u64 = 10_000;

/// Most orders of `POST /burst`: what a slow machine sends before the response is due.
/// `load-generator burst` can send more.
const MAX_BURST: u64 = 100_000;

/// The longest single pause of a burst, milliseconds.
const MAX_PAUSE_MS: u64 = 1_000;

/// The single pause of a burst without `delay_ms`, milliseconds.
const DEFAULT_PAUSE_MS: u64 = 10;

/// `POST /burst`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BurstRequest {
    pub(super) count: u64,
    pub(super) delay_ms: u64,
}

/// `POST /produce/batch`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchRequest {
    pub(super) count: u64,
}

/// `POST /config`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConfigRequest {
    pub(super) rate_ms: Option<u32>,
    pub(super) batch_size: Option<u32>,
    pub(super) running: Option<bool>,
}

/// A JSON boolean, whose error names the two values.
struct JsonBool(bool);

impl BurstRequest {
    fn read(mut fields: JsonFields) -> Result<Self, Problem> {
        // The last quarter is for sending the orders, and for pauses that take longer than
        // requested.
        const MAX_PAUSES_MS: u64 = SEND_TIMEOUT.as_millis() as u64 * 3 / 4;
        let count = fields.take_if_given("count");
        let delay = fields.take_if_given("delay_ms");
        let (count, delay) = fields.finish(Some((count, delay)))?;
        let BoundedInt::<1, MAX_BURST>(count) = count.unwrap_or(BoundedInt(1_000));
        let pauses = (count - 1) / PAUSE_EVERY;
        // A default pause is shortened until it fits; a requested one that does not fit is refused.
        let max_fitting = MAX_PAUSES_MS
            .checked_div(pauses)
            .unwrap_or(DEFAULT_PAUSE_MS);
        let BoundedInt::<0, MAX_PAUSE_MS>(delay_ms) =
            delay.unwrap_or(BoundedInt(DEFAULT_PAUSE_MS.min(max_fitting)));
        if pauses * delay_ms > MAX_PAUSES_MS {
            let detail = format!(
                "must be at most {max_fitting} with this count: the pauses of a burst, one after each {PAUSE_EVERY}, may take {MAX_PAUSES_MS} ms in all"
            );
            return Err(Problem::invalid(vec![FieldError::new("delay_ms", detail)]));
        }
        Ok(Self { count, delay_ms })
    }
}

impl ConfigRequest {
    fn read(mut fields: JsonFields) -> Result<Self, Problem> {
        type Rate = BoundedInt<{ low(RATE_MS) }, { high(RATE_MS) }>;
        type Size = BoundedInt<{ low(BATCH_SIZE) }, { high(BATCH_SIZE) }>;
        let rate = fields.take_if_given::<Rate>("rate_ms");
        let size = fields.take_if_given::<Size>("batch_size");
        let running = fields.take_if_given::<JsonBool>("running");
        let (rate, size, running) = fields.finish(Some((rate, size, running)))?;
        Ok(Self {
            rate_ms: rate.map(BoundedInt::get_u32),
            batch_size: size.map(BoundedInt::get_u32),
            running: running.map(|JsonBool(running)| running),
        })
    }
}

const fn low(bounds: RangeInclusive<i64>) -> u64 {
    *bounds.start() as u64
}

const fn high(bounds: RangeInclusive<i64>) -> u64 {
    *bounds.end() as u64
}

/// An empty body means the same as `{}`: the defaults.
async fn read_fields<S: Send + Sync>(request: Request, state: &S) -> Result<JsonFields, Problem> {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(request, state).await;
    let body = body.map_err(|_| Problem::bad_request("the body cannot be read"))?;
    if body.is_empty() {
        return Ok(JsonFields::default());
    }
    JsonFields::from_request(Request::from_parts(parts, body.into()), state).await
}

impl<S: Send + Sync> FromRequest<S> for BurstRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Self::read(read_fields(request, state).await?)
    }
}

impl<S: Send + Sync> FromRequest<S> for ConfigRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Self::read(read_fields(request, state).await?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BatchRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut parameters = QueryParams::from_request_parts(parts, state).await?;
        let count = parameters.take::<BoundedInt<1, MAX_BATCH>>("count");
        parameters.finish()?;
        match count {
            Some(BoundedInt(count)) => Ok(Self { count }),
            None => Err(Problem::invalid(vec![FieldError::new(
                "count",
                "is missing",
            )])),
        }
    }
}

impl<'de> Deserialize<'de> for JsonBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        match text.get() {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(de::Error::custom("must be true or false")),
        }
    }
}
