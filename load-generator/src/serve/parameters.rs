//! What a client can ask for, with its bounds.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use service_kit::Problem;
use service_kit::body::Fields;
use service_kit::problem::FieldError;

use super::studio::HAND_OVER;
use crate::plan::PAUSE_EVERY;
use crate::settings::{BATCH_SIZE, RATE_MS};

/// Most orders of `POST /produce/batch`.
const BATCH_MOST: u64 = 10_000;

/// Most orders of `POST /burst`: what a slow machine makes in the time an answer may take. More by `load-generator burst`.
const BURST_MOST: u64 = 100_000;

/// Longest single pause of a burst, milliseconds.
const PAUSE_MOST: u64 = 1_000;

/// A pause unless asked otherwise, milliseconds.
const PAUSE: u64 = 10;

/// `POST /burst`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Burst {
    pub(super) count: u64,
    pub(super) delay_ms: u64,
}

/// `POST /produce/batch`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) count: u64,
}

/// `POST /config`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) rate_ms: Option<u32>,
    pub(super) batch_size: Option<u32>,
    pub(super) running: Option<bool>,
}

/// A whole number within bounds.
struct Within<const LOW: u64, const HIGH: u64>(u64);

struct Switch(bool);

impl Burst {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        // The rest of the time is for the orders themselves, and for pauses that end a little late.
        const LONGEST: u64 = HAND_OVER.as_millis() as u64 * 3 / 4;
        let count = fields.take_if_given("count");
        let delay = fields.take_if_given("delay_ms");
        let (count, delay) = fields.finish(Some((count, delay)))?;
        let Within::<1, BURST_MOST>(count) = count.unwrap_or(Within(1_000));
        let pauses = (count - 1) / PAUSE_EVERY;
        // Who asks for no pause of their own is not told that theirs are too long.
        let fits = LONGEST.checked_div(pauses).unwrap_or(PAUSE);
        let Within::<0, PAUSE_MOST>(delay_ms) = delay.unwrap_or(Within(PAUSE.min(fits)));
        if pauses * delay_ms > LONGEST {
            let detail = format!(
                "must be at most {fits} with this count: the pauses of a burst, one after each {PAUSE_EVERY}, may take {LONGEST} ms in all"
            );
            return Err(Problem::invalid(vec![FieldError::new("delay_ms", detail)]));
        }
        Ok(Self { count, delay_ms })
    }
}

impl Change {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        type Rate = Within<{ low(RATE_MS) }, { high(RATE_MS) }>;
        type Size = Within<{ low(BATCH_SIZE) }, { high(BATCH_SIZE) }>;
        let rate = fields.take_if_given::<Rate>("rate_ms");
        let size = fields.take_if_given::<Size>("batch_size");
        let running = fields.take_if_given::<Switch>("running");
        let (rate, size, running) = fields.finish(Some((rate, size, running)))?;
        // The bounds are far below what would not fit.
        let small = |number: u64| u32::try_from(number).ok();
        Ok(Self {
            rate_ms: rate.and_then(|Within(rate)| small(rate)),
            batch_size: size.and_then(|Within(size)| small(size)),
            running: running.map(|Switch(running)| running),
        })
    }
}

const fn low(bounds: RangeInclusive<i64>) -> u64 {
    *bounds.start() as u64
}

const fn high(bounds: RangeInclusive<i64>) -> u64 {
    *bounds.end() as u64
}

/// No body asks for the defaults, as `{}` does.
async fn fields<S: Send + Sync>(request: Request, state: &S) -> Result<Fields, Problem> {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(request, state).await;
    let body = body.map_err(|_| Problem::bad_request("the body cannot be read"))?;
    if body.is_empty() {
        return Ok(Fields::default());
    }
    Fields::from_request(Request::from_parts(parts, body.into()), state).await
}

impl<S: Send + Sync> FromRequest<S> for Burst {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Self::read(fields(request, state).await?)
    }
}

impl<S: Send + Sync> FromRequest<S> for Change {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Self::read(fields(request, state).await?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Batch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(given) = query.map_err(|_| Problem::bad_request("the query cannot be read"))?;
        let mut errors = Vec::new();
        let mut count = None;
        for (name, value) in given {
            match (name.as_str(), count) {
                ("count", None) => match value.parse::<Within<1, BATCH_MOST>>() {
                    Ok(Within(number)) => count = Some(number),
                    Err(limit) => errors.push(FieldError::new(name, limit)),
                },
                ("count", Some(_)) => errors.push(FieldError::new(name, "must be given once")),
                _ => errors.push(FieldError::new(name, "is not a parameter of this request")),
            }
        }
        match (errors.is_empty(), count) {
            (true, Some(count)) => Ok(Self { count }),
            (true, None) => Err(Problem::invalid(vec![FieldError::new(
                "count",
                "is missing",
            )])),
            (false, _) => Err(Problem::invalid(errors)),
        }
    }
}

impl<const LOW: u64, const HIGH: u64> std::str::FromStr for Within<LOW, HIGH> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok();
        let within = number.filter(|number| (LOW..=HIGH).contains(number));
        let limit = || format!("must be a whole number from {LOW} to {HIGH}");
        within.map(Self).ok_or_else(limit)
    }
}

impl<'de, const LOW: u64, const HIGH: u64> Deserialize<'de> for Within<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through the digits, so that 1.5, "2" and 1e400 are answered with the bound and not with a parser's words.
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        digits.get().parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        match text.get() {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(de::Error::custom("must be true or false")),
        }
    }
}
