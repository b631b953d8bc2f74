//! A dead letter as a person or a script sees it.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use kafka_runtime::dead_letter::{MAX_REPLAYS, replay_count};
use kafka_admin::replay::{Letter, Verdict};
use serde_json::{Value, json};
use shared_events::Topic;

use scenario_runner::conditions::dlq::dead_letter_topic;
use stack::terminal::say;

/// How often a record may be replayed.
pub const MAX: u32 = MAX_REPLAYS;

/// Bytes of a value that are shown to a person.
const SHOWN: usize = 2000;

/// Where a letter lies: `inventory.dlq/2/17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The dead-letter topic.
    pub topic: Topic,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl Place {
    /// Where this letter lies. A letter comes from a topic of the table, so it has a name without prefix.
    pub fn of(letter: &Letter) -> String {
        let record = &letter.record;
        format!(
            "{}/{}/{}",
            short(&record.topic),
            record.partition,
            record.offset
        )
    }

    /// Whether this is the letter that lies there.
    pub fn is_of(&self, letter: &Letter) -> bool {
        (self.partition, self.offset) == (letter.record.partition, letter.record.offset)
    }
}

/// The topic's name without the stack's prefix, as every command takes it.
fn short(name: &str) -> &str {
    let mut known = Topic::ALL.into_iter().map(Topic::name);
    known.find(|known| name.ends_with(known)).unwrap_or(name)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be TOPIC/PARTITION/OFFSET, as in inventory.dlq/2/17".to_owned();
        let parts: Vec<&str> = text.split('/').collect();
        let [topic, partition, offset] = parts.as_slice() else {
            return Err(wrong());
        };
        Ok(Self {
            topic: dead_letter_topic(topic)?,
            partition: partition.parse().map_err(|_| wrong())?,
            offset: offset.parse().map_err(|_| wrong())?,
        })
    }
}

/// Why a replay would not take it, if so.
pub fn refusal(letter: &Letter) -> Option<&str> {
    match &letter.verdict {
        Verdict::Refuse(reason) => Some(reason),
        Verdict::Replay { .. } => None,
    }
}

fn state(letter: &Letter) -> &'static str {
    match (&letter.verdict, letter.passed) {
        (Verdict::Replay { .. }, true) => "replayed",
        (Verdict::Replay { .. }, false) => "waiting",
        (Verdict::Refuse(_), _) => "refused",
    }
}

/// Its cells in the table of `dlq list`.
pub fn row(letter: &Letter) -> [String; 7] {
    let (from, at, why) = match &letter.headers {
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
    let replays = replay_count(letter.record.header_pairs());
    [
        Place::of(letter),
        letter
            .record
            .key
            .as_deref()
            .map_or_else(|| "-".to_owned(), readable),
        from,
        at,
        replays.map_or_else(|_| "?".to_owned(), |count| count.to_string()),
        state(letter).to_owned(),
        one_line(refusal(letter).unwrap_or(&why)),
    ]
}

/// All of it, for a script. Bytes that are not UTF-8 are shown with replacement characters, and their number is exact.
pub fn json(letter: &Letter) -> Value {
    let record = &letter.record;
    let headers: Vec<Value> = record
        .header_pairs()
        .map(|(name, value)| json!({"name": name, "value": value.map(text)}))
        .collect();
    let time = record
        .timestamp_ms
        .and_then(DateTime::from_timestamp_millis);
    json!({
        "letter": Place::of(letter),
        "timestamp": time.map(|time| time.to_rfc3339()),
        "key": record.key.as_deref().map(text),
        "headers": headers,
        "value": record.value.as_deref().map(text),
        "valueBytes": record.value.as_ref().map(Vec::len),
        "state": state(letter),
        "refusedBecause": refusal(letter),
        "origin": letter.headers.as_ref().ok().map(|headers| json!({
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

/// All of it, for a person.
pub fn show(letter: &Letter) {
    let record = &letter.record;
    say(format_args!("{}  {}", Place::of(letter), state(letter)));
    if let Some(reason) = refusal(letter) {
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
            say(readable(value.get(..SHOWN).unwrap_or(value)));
        }
    }
}

/// The bytes as text: what is not UTF-8 or would move the cursor is replaced, since a dead letter may hold anything.
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
    fn a_place_is_read_as_it_is_printed() {
        let place: Place = "inventory.dlq/2/17".parse().unwrap();
        assert_eq!(place.to_string(), "inventory.dlq/2/17");
        for bad in [
            "",
            "inventory.dlq",
            "inventory/2/17",
            "inventory.dlq/2",
            "inventory.dlq/x/1",
            "a/1/2/3",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_letter_cannot_write_to_the_terminal_as_it_likes() {
        assert_eq!(
            readable(b"a\x1b[31m\n\xffb"),
            "a\u{fffd}[31m\u{fffd}\u{fffd}b"
        );
        assert_eq!(one_line(&"ü".repeat(200)).chars().count(), 101);
    }

    #[test]
    fn a_topic_is_called_without_the_prefix_of_the_stack() {
        assert_eq!(short("second.inventory.dlq"), "inventory.dlq");
        assert_eq!(short("inventory.dlq"), "inventory.dlq");
    }
}
