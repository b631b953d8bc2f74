//! Where poison goes, and what a dead letter says about itself.
//!
//! A dead letter is the record as it was (key, value and all its headers), plus text headers that say where it came from and
//! why it was set aside. No name of such a header is spelled anywhere else.
//!
//! One exception: what unpacks to more bytes than a dead letter can hold (a client may pack megabytes into a small record set) is left
//! out, and the letter says how many those were. The record itself stays where it was until its topic's retention takes it.
//!
//! A replayed record carries two of them on its way back: how often it was replayed (so that a poison record cannot go round
//! for ever), and for which group (so that the other groups of the topic, which took it the first time, pass it over).

use std::fmt::Display;
use std::str::{self, FromStr};

use chrono::{DateTime, SecondsFormat, Utc};
use shared_events::PoisonClass;
use shared_events::headers::dead_letter::{
    ATTEMPTS, CONSUMER_GROUP, ERROR_CLASS, ERROR_MESSAGE, FAILED_AT, LEFT_OUT_BYTES,
    ORIGINAL_OFFSET, ORIGINAL_PARTITION, ORIGINAL_TIMESTAMP, ORIGINAL_TOPIC, PREFIX, REPLAY_COUNT,
    REPLAY_FOR,
};

/// How often one record may be replayed. Poison that is poison each time is not cured by a sixth try.
pub const MAX_REPLAYS: u32 = 5;

/// Characters of an error message that a dead letter keeps. The record itself may be as large as its topic allows, so what is
/// added to it has to stay small.
pub const MAX_MESSAGE_CHARS: usize = 500;

/// A header of a record: its name, and its value if it has one.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// Where a dead letter came from, and why it was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterHeaders {
    /// The topic it was read from, under its full name on the broker.
    pub original_topic: String,
    /// The partition it was read from.
    pub original_partition: i32,
    /// Its offset there.
    pub original_offset: i64,
    /// The record's own timestamp in milliseconds since 1970, or -1 as Kafka says "none".
    pub original_timestamp_ms: i64,
    /// The group that could not take it, under its full name on the broker.
    pub consumer_group: String,
    /// Which kind of poison.
    pub error_class: PoisonClass,
    /// What exactly, for a person. Only the first [`MAX_MESSAGE_CHARS`] characters are kept.
    pub error_message: String,
    /// When it was set aside, to the millisecond.
    pub failed_at: DateTime<Utc>,
    /// How often it was tried before.
    pub attempts: u32,
}

/// A header of a dead letter that is not there, or not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {name}: {reason}")]
pub struct BadHeader {
    name: &'static str,
    reason: String,
}

impl DeadLetterHeaders {
    /// Names and values, to be added after the record's own headers, which stay as they are. Of two headers with one name the
    /// last counts, so a record that came with such headers of its own cannot lie about where it was set aside.
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

    /// Reads them from the headers of a dead letter. Headers of other names are passed over; of two with one name the last
    /// counts, as in Kafka's `lastHeader`.
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

/// The header of a letter whose key, value and own headers were left out; key and value had so many bytes.
pub fn left_out_pair(bytes: usize) -> (&'static str, String) {
    (LEFT_OUT_BYTES, bytes.to_string())
}

/// Whether key, value and own headers of the record were left out.
pub fn is_left_out<'a>(pairs: impl IntoIterator<Item = Header<'a>>) -> bool {
    pairs.into_iter().any(|(name, _)| name == LEFT_OUT_BYTES)
}

/// Whether a header is one that dead letters have and events have not.
pub fn is_dead_letter_header(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// How often the record was replayed; 0 if never. A count that cannot be read is an error, and never a fresh start.
pub fn replay_count<'a>(pairs: impl IntoIterator<Item = Header<'a>>) -> Result<u32, BadHeader> {
    let pairs: Vec<Header<'a>> = pairs.into_iter().collect();
    if last(&pairs, REPLAY_COUNT).is_none() {
        return Ok(0);
    }
    parse(&pairs, REPLAY_COUNT)
}

/// The headers of a record's next replay, which is meant for one group, given how often it was replayed before.
pub fn replay_pairs(replayed_before: u32, group: &str) -> [(&'static str, String); 2] {
    let count = replayed_before.saturating_add(1);
    [
        (REPLAY_COUNT, count.to_string()),
        (REPLAY_FOR, group.to_owned()),
    ]
}

/// Whether a record was replayed for a group other than this one, which then skips and counts it: otherwise poison in a topic
/// that two groups read would double with each replay.
pub fn is_for_another_group<'a>(pairs: impl IntoIterator<Item = Header<'a>>, group: &str) -> bool {
    let meant_for = pairs
        .into_iter()
        .filter(|(name, _)| *name == REPLAY_FOR)
        .last();
    meant_for.is_some_and(|(_, value)| value != Some(group.as_bytes()))
}

fn last<'a>(pairs: &[Header<'a>], name: &str) -> Option<Option<&'a [u8]>> {
    let found = pairs.iter().rev().find(|(found, _)| *found == name);
    found.map(|(_, value)| *value)
}

fn text<'a>(pairs: &[Header<'a>], name: &'static str) -> Result<&'a str, BadHeader> {
    let value = last(pairs, name).flatten();
    let value = value.ok_or_else(|| bad(name, "is missing"))?;
    str::from_utf8(value).map_err(|_| bad(name, "is not UTF-8"))
}

fn parse<T: FromStr<Err: Display>>(
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
        fn any_letter()(
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
        fn what_a_dead_letter_says_survives_its_headers_but_for_the_tail_of_a_long_message(letter in any_letter()) {
            let pairs = letter.to_pairs();
            let read = DeadLetterHeaders::from_pairs(as_headers(&pairs)).unwrap();
            let message: String = letter.error_message.chars().take(500).collect();
            prop_assert_eq!(read, DeadLetterHeaders { error_message: message, ..letter });
        }

        #[test]
        fn headers_of_any_bytes_are_read_or_refused_but_never_a_panic(
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
    fn only_the_group_a_record_was_replayed_for_takes_it() {
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
    fn a_replay_count_that_cannot_be_read_is_no_fresh_start() {
        for value in [None, Some(&b"x"[..]), Some(&b"-1"[..]), Some(&[0xff][..])] {
            assert!(replay_count([(REPLAY_COUNT, value)]).is_err(), "{value:?}");
        }
        assert_eq!(replay_count([("other", None)]), Ok(0));
    }

    #[test]
    fn a_letter_that_lacks_a_header_says_which() {
        let letter = DeadLetterHeaders {
            original_topic: "payments".to_owned(),
            original_partition: 2,
            original_offset: 17,
            original_timestamp_ms: -1,
            consumer_group: "inventory-service-group".to_owned(),
            error_class: PoisonClass::DomainRule,
            error_message: "prod_ignore cannot be taken".to_owned(),
            failed_at: Utc.timestamp_millis_opt(0).unwrap(),
            attempts: 1,
        };
        for (missing, _) in letter.to_pairs() {
            let pairs = letter.to_pairs();
            let rest = as_headers(&pairs)
                .into_iter()
                .filter(|(name, _)| *name != missing);
            let error = DeadLetterHeaders::from_pairs(rest).unwrap_err();
            assert_eq!(error.to_string(), format!("header {missing}: is missing"));
        }
    }
}
