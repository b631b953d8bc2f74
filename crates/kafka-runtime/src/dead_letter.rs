//! The format of a dead letter, and of its replay.
//!
//! A dead letter is the poison record unchanged (key, value and all its headers), plus text headers that say where it came from
//! and why it is poison.
//!
//! One exception: key, value and headers of a record that is too large uncompressed are left out, and a header has their size.
//! The record itself stays in its topic until retention deletes it.
//!
//! A replayed record carries two headers back to its topic: how often it was replayed, so that poison does not circulate for
//! ever, and for which group, so that the other groups of the topic skip it.

use std::fmt::Display;
use std::str::{self, FromStr};

use chrono::{DateTime, SecondsFormat, Utc};
use shared_events::PoisonClass;
use shared_events::headers::dead_letter::{
    ATTEMPTS, CONSUMER_GROUP, ERROR_CLASS, ERROR_MESSAGE, FAILED_AT, LEFT_OUT_BYTES,
    ORIGINAL_OFFSET, ORIGINAL_PARTITION, ORIGINAL_TIMESTAMP, ORIGINAL_TOPIC, PREFIX, REPLAY_COUNT,
    REPLAY_FOR,
};

/// How often one record may be replayed. A record that was poison five times stays poison.
pub const MAX_REPLAYS: u32 = 5;

/// Maximum length of the error message in a dead letter, characters. The record may be as large as its topic allows, so its
/// dead letter can add only a little.
pub const MAX_MESSAGE_CHARS: usize = 500;

/// A header of a record: its name, and its value if it has one.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// Where a dead letter came from, and why it is poison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterHeaders {
    /// The topic it was read from, by its full name on the broker.
    pub original_topic: String,
    /// The partition it was read from.
    pub original_partition: i32,
    /// Its offset there.
    pub original_offset: i64,
    /// The record's timestamp in milliseconds since 1970, or -1 if it has none.
    pub original_timestamp_ms: i64,
    /// The group that could not process it, by its full name on the broker.
    pub consumer_group: String,
    /// The class of poison.
    pub error_class: PoisonClass,
    /// The error, for a person. Only the first [`MAX_MESSAGE_CHARS`] characters are kept.
    pub error_message: String,
    /// When it was sent to the dead-letter topic, to the millisecond.
    pub failed_at: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: u32,
}

/// A header of a dead letter is missing or invalid. The message names the header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {name}: {reason}")]
pub struct BadHeader {
    name: &'static str,
    reason: String,
}

impl DeadLetterHeaders {
    /// Names and values, to be added after the record's own headers. Of two headers with the same name the last counts, so a
    /// record cannot forge them with headers of its own.
    pub fn to_pairs(&self) -> [(&'static str, String); 9] {
        let message = self.error_message.chars().take(MAX_MESSAGE_CHARS).collect();
        let failed_at = self.failed_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        [
            (ORIGINAL_TOPIC, self.original_topic.clone()),
            (ORIGINAL_PARTITION, self.original_partition.to_string()),
            (ORIGINAL_OFFSET, self.original_offset.to_string()),
            (ORIGINAL_TIMESTAMP, self.original_timestamp_ms.to_string()),
            (CONSUMER_GROUP, self.consumer_group.clone()),
            (ERROR_CLASS, self.error_class.name().to_owned()),
            (ERROR_MESSAGE, message),
            (FAILED_AT, failed_at),
            (ATTEMPTS, self.attempts.to_string()),
        ]
    }

    /// Reads them from the headers of a dead letter. Other headers are ignored. Of two headers with the same name the last
    /// counts, as in Kafka's `lastHeader`.
    ///
    /// # Errors
    /// The first header that is missing or invalid.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = Header<'a>>) -> Result<Self, BadHeader> {
        let pairs: Vec<Header<'a>> = pairs.into_iter().collect();
        let class = text(&pairs, ERROR_CLASS)?;
        let known = PoisonClass::ALL.iter().find(|known| known.name() == class);
        Ok(Self {
            original_topic: text(&pairs, ORIGINAL_TOPIC)?.to_owned(),
            original_partition: parse(&pairs, ORIGINAL_PARTITION)?,
            original_offset: parse(&pairs, ORIGINAL_OFFSET)?,
            original_timestamp_ms: parse(&pairs, ORIGINAL_TIMESTAMP)?,
            consumer_group: text(&pairs, CONSUMER_GROUP)?.to_owned(),
            error_class: *known.ok_or_else(|| bad(ERROR_CLASS, "is none of the known classes"))?,
            error_message: text(&pairs, ERROR_MESSAGE)?.to_owned(),
            failed_at: parse(&pairs, FAILED_AT)?,
            attempts: parse(&pairs, ATTEMPTS)?,
        })
    }
}

/// The header of a dead letter without the record. `bytes` is the size of the record's key and value.
pub fn left_out_pair(bytes: usize) -> (&'static str, String) {
    (LEFT_OUT_BYTES, bytes.to_string())
}

/// Whether the dead letter lacks the record's key, value and headers.
pub fn is_left_out<'a>(pairs: impl IntoIterator<Item = Header<'a>>) -> bool {
    pairs.into_iter().any(|(name, _)| name == LEFT_OUT_BYTES)
}

/// Whether a header belongs to the dead letter and not to the record.
pub fn is_dead_letter_header(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// How often the record was replayed. 0 if it has no such header.
///
/// # Errors
/// The count is invalid. Such a record must not be replayed as if it were new.
pub fn replay_count<'a>(pairs: impl IntoIterator<Item = Header<'a>>) -> Result<u32, BadHeader> {
    let pairs: Vec<Header<'a>> = pairs.into_iter().collect();
    if last(&pairs, REPLAY_COUNT).is_none() {
        return Ok(0);
    }
    parse(&pairs, REPLAY_COUNT)
}

/// The headers of a record's next replay for this group, after `replayed_before` replays.
pub fn replay_pairs(replayed_before: u32, group: &str) -> [(&'static str, String); 2] {
    let count = replayed_before.saturating_add(1);
    [
        (REPLAY_COUNT, count.to_string()),
        (REPLAY_FOR, group.to_owned()),
    ]
}

/// Whether a record was replayed for another group. This group then skips it: otherwise poison in a topic with two groups would
/// double with each replay.
pub fn is_for_another_group<'a>(pairs: impl IntoIterator<Item = Header<'a>>, group: &str) -> bool {
    let meant_for = pairs
        .into_iter()
        .filter(|(name, _)| *name == REPLAY_FOR)
        .last();
    meant_for.is_some_and(|(_, value)| value != Some(group.as_bytes()))
}

pub(crate) fn last<'a>(pairs: &[Header<'a>], name: &str) -> Option<Option<&'a [u8]>> {
    let found = pairs.iter().rev().find(|(found, _)| *found == name);
    found.map(|(_, value)| *value)
}

pub(crate) fn text<'a>(pairs: &[Header<'a>], name: &'static str) -> Result<&'a str, BadHeader> {
    let value = last(pairs, name).flatten();
    let value = value.ok_or_else(|| bad(name, "is missing"))?;
    str::from_utf8(value).map_err(|_| bad(name, "is not UTF-8"))
}

pub(crate) fn parse<T: FromStr<Err: Display>>(
    pairs: &[Header<'_>],
    name: &'static str,
) -> Result<T, BadHeader> {
    let text = text(pairs, name)?;
    text.parse().map_err(|error| bad(name, error))
}

fn bad(name: &'static str, reason: impl Display) -> BadHeader {
    let reason = reason.to_string();
    BadHeader { name, reason }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn as_headers<'a>(pairs: &'a [(&'static str, String)]) -> Vec<Header<'a>> {
        pairs
            .iter()
            .map(|(name, value)| (*name, Some(value.as_bytes())))
            .collect()
    }

    prop_compose! {
        fn any_dead_letter()(
            original_topic in ".{0,40}",
            place in (any::<i32>(), any::<i64>(), any::<i64>()),
            consumer_group in ".{0,40}",
            class in 0..PoisonClass::ALL.len(),
            error_message in prop_oneof![".{0,600}", "ü{490,510}"],
            failed_at_ms in 0i64..4_000_000_000_000,
            attempts in any::<u32>(),
        ) -> DeadLetterHeaders {
            DeadLetterHeaders {
                original_topic,
                original_partition: place.0,
                original_offset: place.1,
                original_timestamp_ms: place.2,
                consumer_group,
                error_class: PoisonClass::ALL[class],
                error_message,
                failed_at: Utc.timestamp_millis_opt(failed_at_ms).unwrap(),
                attempts,
            }
        }
    }

    proptest! {
        #[test]
        fn headers_survive_a_round_trip_except_a_long_message(dead_letter in any_dead_letter()) {
            let pairs = dead_letter.to_pairs();
            let read = DeadLetterHeaders::from_pairs(as_headers(&pairs)).unwrap();
            let message: String = dead_letter.error_message.chars().take(500).collect();
            prop_assert_eq!(read, DeadLetterHeaders { error_message: message, ..dead_letter });
        }

        #[test]
        fn headers_of_any_bytes_never_panic(
            headers in prop::collection::vec(
                (
                    prop_oneof![prop::sample::select(vec![
                        ORIGINAL_TOPIC, ORIGINAL_PARTITION, ORIGINAL_OFFSET, ORIGINAL_TIMESTAMP, CONSUMER_GROUP,
                        ERROR_CLASS, ERROR_MESSAGE, FAILED_AT, ATTEMPTS, REPLAY_COUNT, REPLAY_FOR,
                    ]).prop_map(str::to_owned), ".{0,12}"],
                    prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
                ),
                0..24,
            ),
        ) {
            let pairs = || headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
            let _ = DeadLetterHeaders::from_pairs(pairs());
            let _ = replay_count(pairs());
            let _ = is_for_another_group(pairs(), "a-group");
        }

        #[test]
        fn each_replay_counts_one_more(before in 0u32..1000) {
            let pairs = replay_pairs(before, "a-group");
            prop_assert_eq!(replay_count(as_headers(&pairs)), Ok(before + 1));
        }
    }

    #[test]
    fn a_replayed_record_is_for_one_group() {
        let replayed = replay_pairs(0, "inventory-service-group");
        assert!(!is_for_another_group(
            as_headers(&replayed),
            "inventory-service-group"
        ));
        assert!(is_for_another_group(
            as_headers(&replayed),
            "order-service-group"
        ));
        assert!(!is_for_another_group([], "order-service-group"));
    }

    #[test]
    fn an_invalid_replay_count_is_an_error() {
        for value in [None, Some(&b"x"[..]), Some(&b"-1"[..]), Some(&[0xff][..])] {
            assert!(replay_count([(REPLAY_COUNT, value)]).is_err(), "{value:?}");
        }
        assert_eq!(replay_count([("other", None)]), Ok(0));
    }

    #[test]
    fn the_error_names_the_missing_header() {
        let dead_letter = DeadLetterHeaders {
            original_topic: "payments".to_owned(),
            original_partition: 2,
            original_offset: 17,
            original_timestamp_ms: -1,
            consumer_group: "inventory-service-group".to_owned(),
            error_class: PoisonClass::DomainRule,
            error_message: "prod_ignore cannot be reserved".to_owned(),
            failed_at: Utc.timestamp_millis_opt(0).unwrap(),
            attempts: 1,
        };
        for (missing, _) in dead_letter.to_pairs() {
            let pairs = dead_letter.to_pairs();
            let rest = as_headers(&pairs)
                .into_iter()
                .filter(|(name, _)| *name != missing);
            let error = DeadLetterHeaders::from_pairs(rest).unwrap_err();
            assert_eq!(error.to_string(), format!("header {missing}: is missing"));
        }
    }
}
