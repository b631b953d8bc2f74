//! A dead letter as text and as JSON.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use kafka_admin::dead_letters::{DeadLetter, ReplayDecision};
use kafka_admin::dead_letters::{MAX_REPLAYS, replay_count};
use scenario_runner::conditions::dlq::dead_letter_topic;
use serde_json::{Value, json};
use shared_events::Topic;
use stack::terminal::say;

/// The highest number of replays of a record.
pub const MAX: u32 = MAX_REPLAYS;

/// The bytes of a value that `dlq show` prints.
const MAX_VALUE_BYTES: usize = 2000;

/// Topic, partition and offset of a dead letter: `inventory.dlq/2/17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterId {
    /// The dead-letter topic.
    pub topic: Topic,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl DeadLetterId {
    /// The id of this dead dead_letter, with the topic's name without the stack's prefix.
    pub fn of(dead_letter: &DeadLetter) -> String {
        let record = &dead_letter.record;
        format!(
            "{}/{}/{}",
            without_prefix(&record.topic),
            record.partition,
            record.offset
        )
    }

    /// Whether the dead letter has this partition and offset. Its topic must be the same.
    pub fn is_of(&self, dead_letter: &DeadLetter) -> bool {
        (self.partition, self.offset) == (dead_letter.record.partition, dead_letter.record.offset)
    }
}

/// The topic's name without the stack's prefix, as typed in every command.
fn without_prefix(name: &str) -> &str {
    let mut known = Topic::ALL.into_iter().map(Topic::name);
    known.find(|known| name.ends_with(known)).unwrap_or(name)
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for DeadLetterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || "must be TOPIC/PARTITION/OFFSET, as in inventory.dlq/2/17".to_owned();
        let parts: Vec<&str> = text.split('/').collect();
        let [topic, partition, offset] = parts.as_slice() else {
            return Err(invalid());
        };
        Ok(Self {
            topic: dead_letter_topic(topic)?,
            partition: partition.parse().map_err(|_| invalid())?,
            offset: offset.parse().map_err(|_| invalid())?,
        })
    }
}

/// The reason why a replay refuses it; `None` if a replay publishes it.
pub fn refusal(dead_letter: &DeadLetter) -> Option<&str> {
    match &dead_letter.decision {
        ReplayDecision::Refuse(reason) => Some(reason),
        ReplayDecision::Replay { .. } => None,
    }
}

fn state(dead_letter: &DeadLetter) -> &'static str {
    match (&dead_letter.decision, dead_letter.processed) {
        (ReplayDecision::Replay { .. }, true) => "replayed",
        (ReplayDecision::Replay { .. }, false) => "waiting",
        (ReplayDecision::Refuse(_), _) => "refused",
    }
}

/// The cells of its row in `dlq list`.
pub fn row(dead_letter: &DeadLetter) -> [String; 7] {
    let (from, at, why) = match &dead_letter.headers {
        Ok(headers) => (
            format!(
                "{}/{}/{}",
                headers.original_topic, headers.original_partition, headers.original_offset
            ),
            headers.failed_at.format("%m-%d %H:%M:%S").to_string(),
            format!("{}: {}", headers.error_class, headers.error_message),
        ),
        Err(reason) => ("-".to_owned(), "-".to_owned(), reason.clone()),
    };
    let replays = replay_count(dead_letter.record.header_pairs());
    [
        DeadLetterId::of(dead_letter),
        dead_letter
            .record
            .key
            .as_deref()
            .map_or_else(|| "-".to_owned(), readable),
        from,
        at,
        replays.map_or_else(|_| "?".to_owned(), |count| count.to_string()),
        state(dead_letter).to_owned(),
        one_line(refusal(dead_letter).unwrap_or(&why)),
    ]
}

/// The whole dead letter as JSON. Bytes that are not UTF-8 become replacement characters; `valueBytes` is exact.
pub fn json(dead_letter: &DeadLetter) -> Value {
    let record = &dead_letter.record;
    let headers: Vec<Value> = record
        .header_pairs()
        .map(|(name, value)| json!({"name": name, "value": value.map(text)}))
        .collect();
    let time = record
        .timestamp_ms
        .and_then(DateTime::from_timestamp_millis);
    json!({
        "deadLetter": DeadLetterId::of(dead_letter),
        "timestamp": time.map(|time| time.to_rfc3339()),
        "key": record.key.as_deref().map(text),
        "headers": headers,
        "value": record.value.as_deref().map(text),
        "valueBytes": record.value.as_ref().map(Vec::len),
        "state": state(dead_letter),
        "refusedBecause": refusal(dead_letter),
        "origin": dead_letter.headers.as_ref().ok().map(|headers| json!({
            "topic": headers.original_topic,
            "partition": headers.original_partition,
            "offset": headers.original_offset,
            "timestampMs": headers.original_timestamp_ms,
            "group": headers.consumer_group,
            "errorClass": headers.error_class.name(),
            "errorMessage": headers.error_message,
            "failedAt": headers.failed_at,
            "attempts": headers.attempts,
        })),
    })
}

/// Prints the whole dead dead_letter.
pub fn show(dead_letter: &DeadLetter) {
    let record = &dead_letter.record;
    say(format_args!(
        "{}  {}",
        DeadLetterId::of(dead_letter),
        state(dead_letter)
    ));
    if let Some(reason) = refusal(dead_letter) {
        say(format_args!("refused: {reason}"));
    }
    say(format_args!(
        "key: {}",
        record
            .key
            .as_deref()
            .map_or_else(|| "none".to_owned(), readable)
    ));
    say("headers:");
    for (name, value) in record.header_pairs() {
        let value = value.map_or_else(|| "none".to_owned(), readable);
        say(format_args!("  {name}: {value}"));
    }
    match record.value.as_deref() {
        None => say("value: none (a tombstone)"),
        Some(value) => {
            say(format_args!("value, {} bytes:", value.len()));
            say(readable(value.get(..MAX_VALUE_BYTES).unwrap_or(value)));
        }
    }
}

/// The bytes as text. Bytes that are not UTF-8 and control characters are replaced, since a dead letter may hold anything.
pub fn readable(bytes: &[u8]) -> String {
    let visible = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    String::from_utf8_lossy(bytes)
        .chars()
        .map(visible)
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn one_line(text: &str) -> String {
    const WIDTH: usize = 100;
    let line = readable(text.as_bytes());
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(&line)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_typed_as_it_is_printed() {
        let id: DeadLetterId = "inventory.dlq/2/17".parse().unwrap();
        assert_eq!(id.to_string(), "inventory.dlq/2/17");
        for bad in [
            "",
            "inventory.dlq",
            "inventory/2/17",
            "inventory.dlq/2",
            "inventory.dlq/x/1",
            "a/1/2/3",
        ] {
            assert!(bad.parse::<DeadLetterId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_dead_letter_cannot_control_the_terminal() {
        assert_eq!(
            readable(b"a\x1b[31m\n\xffb"),
            "a\u{fffd}[31m\u{fffd}\u{fffd}b"
        );
        assert_eq!(one_line(&"ü".repeat(200)).chars().count(), 101);
    }

    #[test]
    fn a_topic_is_named_without_the_prefix_of_the_stack() {
        assert_eq!(without_prefix("second.inventory.dlq"), "inventory.dlq");
        assert_eq!(without_prefix("inventory.dlq"), "inventory.dlq");
    }
}
