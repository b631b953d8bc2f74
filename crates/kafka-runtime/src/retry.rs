//! Records that failed for now, because another system does not answer: where they wait, and for how long.
//!
//! A record is first tried a few times within its batch. If it still fails, `RETRY` decides:
//!
//! * `blocking`: the record stays where it is, and its partition waits, longer after each failure. The order of the partition
//!   is kept, and every record behind waits too. The member goes on with its other partitions, and keeps polling.
//! * `topic`: the record is sent to the retry topic of the service, in one transaction with its offset. The partition goes on,
//!   so a later record may overtake it. The service consumes its retry topic too: a record that is not due yet makes only its
//!   partition of the retry topic wait. After `RETRY_MAX` times the record is a dead letter.

use std::time::Duration;

use clap::Args;
use rdkafka::message::OwnedHeaders;
use service_kit::settings::whole_number;
use shared_events::headers::dead_letter::{
    ATTEMPTS, ORIGINAL_OFFSET, ORIGINAL_PARTITION, ORIGINAL_TIMESTAMP, ORIGINAL_TOPIC,
};
use shared_events::headers::retry::{ATTEMPT, CAUSE, NOT_BEFORE};

use crate::dead_letter::{BadHeader, Header, MAX_MESSAGE_CHARS, last, parse, text};

/// Where a record waits that failed for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RetryMode {
    /// Where it is: its partition waits with it, and the order is kept
    Blocking,
    /// In the retry topic: the partition goes on, and the order is not kept
    Topic,
}

/// What becomes of a record that failed for now.
#[derive(Debug, Clone, Args)]
pub struct RetrySettings {
    /// Where a record waits whose charge failed for now, as when the gateway does not answer
    #[arg(long, env = "RETRY", value_enum, default_value = "blocking")]
    pub retry: RetryMode,

    /// With RETRY=topic: how often a record is sent to the retry topic before it becomes a dead letter
    #[arg(long, env = "RETRY_MAX", default_value_t = 8, value_parser = whole_number::<u32>(1..=20))]
    pub retry_max: u32,

    /// The first wait of such a record, milliseconds. Each further wait is twice as long, up to 5 s (blocking) or 30 s (topic);
    /// half of it is random
    #[arg(long, env = "RETRY_BACKOFF_MS", default_value_t = 1_000, value_parser = whole_number::<u32>(10..=30_000))]
    pub retry_backoff_ms: u32,
}

impl Default for RetrySettings {
    /// A service that calls no other system.
    fn default() -> Self {
        Self {
            retry: RetryMode::Blocking,
            retry_max: 8,
            retry_backoff_ms: 1_000,
        }
    }
}

/// The longest wait of a blocked partition.
pub(crate) const MAX_BLOCKED_WAIT: Duration = Duration::from_secs(5);

/// The longest wait in a retry topic. Shorter than the 60 s without a commit after which a partition counts as stalled.
pub(crate) const MAX_TOPIC_WAIT: Duration = Duration::from_secs(30);

impl RetrySettings {
    /// The wait after this number of failures, from 1. Half of it is random, so that records do not come due in step.
    pub(crate) fn wait(&self, failures: u32, longest: Duration) -> Duration {
        let doubled = 2_u64.saturating_pow(failures.saturating_sub(1));
        let millis = u64::from(self.retry_backoff_ms).saturating_mul(doubled);
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let half = millis.min(longest) / 2;
        Duration::from_millis(half + fastrand::u64(0..=half))
    }
}

/// Where a record was read first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// By its full name on the broker.
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970, or -1.
    pub(crate) timestamp_ms: i64,
}

/// The headers of a record in a retry topic, besides its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetryHeaders {
    /// How often it was sent to the retry topic.
    pub(crate) attempt: u32,
    /// When it is due, milliseconds since 1970.
    pub(crate) not_before_ms: i64,
    /// How often it was tried.
    pub(crate) attempts: u32,
    pub(crate) origin: Origin,
    pub(crate) cause: String,
}

/// A record for the retry topic, and the headers to add.
pub(crate) struct RetryRecord<'m> {
    pub(crate) key: Option<&'m [u8]>,
    pub(crate) value: Option<&'m [u8]>,
    pub(crate) headers: OwnedHeaders,
    pub(crate) retry: &'m RetryHeaders,
}

/// The names of all these headers.
const NAMES: [&str; 8] = [
    ATTEMPT,
    NOT_BEFORE,
    CAUSE,
    ATTEMPTS,
    ORIGINAL_TOPIC,
    ORIGINAL_PARTITION,
    ORIGINAL_OFFSET,
    ORIGINAL_TIMESTAMP,
];

/// Whether a header is replaced when its record is sent to a retry topic.
pub(crate) fn is_retry_header(name: &str) -> bool {
    NAMES.contains(&name)
}

impl RetryHeaders {
    /// Names and values, to be added after the record's own headers.
    pub(crate) fn to_pairs(&self) -> [(&'static str, String); 8] {
        let Origin {
            topic,
            partition,
            offset,
            timestamp_ms,
        } = &self.origin;
        [
            (ATTEMPT, self.attempt.to_string()),
            (NOT_BEFORE, self.not_before_ms.to_string()),
            (CAUSE, self.cause.chars().take(MAX_MESSAGE_CHARS).collect()),
            (ATTEMPTS, self.attempts.to_string()),
            (ORIGINAL_TOPIC, topic.clone()),
            (ORIGINAL_PARTITION, partition.to_string()),
            (ORIGINAL_OFFSET, offset.to_string()),
            (ORIGINAL_TIMESTAMP, timestamp_ms.to_string()),
        ]
    }

    /// Reads them from the headers of a record of a retry topic. `None` without `retry-attempt`: a person has published the
    /// record, and it is due.
    ///
    /// # Errors
    /// The first header that is missing or invalid.
    pub(crate) fn from_pairs(pairs: &[Header<'_>]) -> Result<Option<Self>, BadHeader> {
        if last(pairs, ATTEMPT).is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            attempt: parse(pairs, ATTEMPT)?,
            not_before_ms: parse(pairs, NOT_BEFORE)?,
            attempts: parse(pairs, ATTEMPTS)?,
            origin: Origin {
                topic: text(pairs, ORIGINAL_TOPIC)?.to_owned(),
                partition: parse(pairs, ORIGINAL_PARTITION)?,
                offset: parse(pairs, ORIGINAL_OFFSET)?,
                timestamp_ms: parse(pairs, ORIGINAL_TIMESTAMP)?,
            },
            cause: text(pairs, CAUSE)?.to_owned(),
        }))
    }

    /// How long the record is not due yet, at this time. Never longer than the longest wait after it was published: a
    /// `retry-not-before` that is too late must not block its partition.
    pub(crate) fn wait_at(&self, now_ms: i64, published_ms: i64) -> Option<Duration> {
        let longest = i64::try_from(MAX_TOPIC_WAIT.as_millis()).unwrap_or(i64::MAX);
        let due = self.not_before_ms.min(published_ms.saturating_add(longest));
        let wait = u64::try_from(due.saturating_sub(now_ms)).ok()?;
        (wait > 0).then(|| Duration::from_millis(wait))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers() -> RetryHeaders {
        RetryHeaders {
            attempt: 2,
            not_before_ms: 5_000,
            attempts: 6,
            origin: Origin {
                topic: "orders".to_owned(),
                partition: 1,
                offset: 226,
                timestamp_ms: -1,
            },
            cause: "the gateway answers 503".to_owned(),
        }
    }

    fn as_headers<'a>(pairs: &'a [(&'static str, String)]) -> Vec<Header<'a>> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (*name, Some(value.as_bytes())))
            .collect()
    }

    #[test]
    fn the_headers_of_a_retry_survive_a_round_trip() {
        let pairs = headers().to_pairs();
        let read = RetryHeaders::from_pairs(&as_headers(&pairs));
        assert_eq!(read, Ok(Some(headers())));
        assert!(pairs.iter().all(|(name, _)| is_retry_header(name)));
        for (missing, _) in pairs.iter().filter(|(name, _)| *name != ATTEMPT) {
            let rest: Vec<_> = as_headers(&pairs)
                .into_iter()
                .filter(|(name, _)| name != missing)
                .collect();
            let error = RetryHeaders::from_pairs(&rest).unwrap_err();
            assert_eq!(error.to_string(), format!("header {missing}: is missing"));
        }
        assert_eq!(RetryHeaders::from_pairs(&[("event-id", None)]), Ok(None));
    }

    #[test]
    fn a_record_is_due_at_its_time_and_at_the_latest_after_the_longest_wait() {
        let wait = |not_before_ms, now| {
            let headers = RetryHeaders {
                not_before_ms,
                ..headers()
            };
            headers.wait_at(now, 1_000)
        };
        assert_eq!(wait(5_000, 4_000), Some(Duration::from_secs(1)));
        assert_eq!(wait(5_000, 5_000), None);
        assert_eq!(wait(i64::MAX, 1_000), Some(MAX_TOPIC_WAIT));
        assert_eq!(wait(i64::MIN, i64::MAX), None);
    }

    proptest! {
        #[test]
        fn a_wait_doubles_up_to_its_limit_and_half_is_random(
            failures in 0u32..100, backoff in 10u32..30_000,
        ) {
            let settings = RetrySettings { retry_backoff_ms: backoff, ..RetrySettings::default() };
            let wait = settings.wait(failures, MAX_TOPIC_WAIT).as_millis();
            let doubled = u128::from(backoff) << failures.saturating_sub(1).min(40);
            let full = doubled.min(MAX_TOPIC_WAIT.as_millis());
            prop_assert!((full / 2 - 1..=full).contains(&wait), "{wait} of {full}");
        }
    }
}
