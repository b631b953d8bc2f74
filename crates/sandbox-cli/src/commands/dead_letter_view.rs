//! A dead letter as text and as JSON.

use std::fmt;
use std::str::FromStr;

use kafka_admin::dead_letters::{
    DeadLetter, DeadLetterState, MAX_REPLAYS, ReplayDecision, replay_count,
};
use scenario_runner::conditions::dlq::dead_letter_topic;
use serde_json::{Value, json};
use shared_events::Topic;
use stack::terminal::{counted, say};

use super::record_text::{json_fields, time, visible, visible_or_none, visible_start};

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
    /// The id of this dead letter, with the topic's name without the stack's prefix.
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

fn state(dead_letter: &DeadLetter) -> &'static str {
    match &dead_letter.state {
        DeadLetterState::Waiting(ReplayDecision::Replay { .. }) => "waiting",
        DeadLetterState::Waiting(ReplayDecision::Refuse(_)) => "refused",
        DeadLetterState::Replayed => "replayed",
        DeadLetterState::Discarded { .. } => "discarded",
    }
}

/// Why it was discarded, for a person; `None` if it was not.
fn discarded(dead_letter: &DeadLetter) -> Option<String> {
    let DeadLetterState::Discarded { reason, at_ms } = &dead_letter.state else {
        return None;
    };
    let at = time(*at_ms).unwrap_or_else(|| "unknown time".to_owned());
    let reason = reason.as_deref().unwrap_or("no reason was given");
    Some(format!("discarded at {at}: {reason}"))
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
    let key = dead_letter.record.key.as_deref();
    let discarded = discarded(dead_letter);
    let reason = dead_letter.refusal().or(discarded.as_deref());
    [
        DeadLetterId::of(dead_letter),
        key.map_or_else(|| "-".to_owned(), |key| one_line(&visible(key))),
        one_line(&from),
        at,
        replays.map_or_else(|_| "?".to_owned(), |count| count.to_string()),
        state(dead_letter).to_owned(),
        one_line(reason.unwrap_or(&why)),
    ]
}

/// The whole dead letter as JSON, see [`json_fields`].
pub fn json(dead_letter: &DeadLetter) -> Value {
    let discarded = match &dead_letter.state {
        DeadLetterState::Discarded { reason, at_ms } => {
            json!({"reason": reason, "at": time(*at_ms)})
        }
        DeadLetterState::Waiting(_) | DeadLetterState::Replayed => Value::Null,
    };
    let origin = dead_letter.headers.as_ref().ok().map(|headers| {
        json!({
            "topic": headers.original_topic,
            "partition": headers.original_partition,
            "offset": headers.original_offset,
            "timestampMs": headers.original_timestamp_ms,
            "group": headers.consumer_group,
            "errorClass": headers.error_class.name(),
            "errorMessage": headers.error_message,
            "failedAt": headers.failed_at,
            "attempts": headers.attempts,
        })
    });
    let mut fields = json_fields(&dead_letter.record);
    for (name, value) in [
        ("deadLetter", json!(DeadLetterId::of(dead_letter))),
        ("state", json!(state(dead_letter))),
        ("refusedBecause", json!(dead_letter.refusal())),
        ("discarded", discarded),
        ("origin", json!(origin)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Value::Object(fields)
}

/// Prints the whole dead letter.
pub fn show(dead_letter: &DeadLetter) {
    let record = &dead_letter.record;
    say(format_args!(
        "{}  {}",
        DeadLetterId::of(dead_letter),
        state(dead_letter)
    ));
    if let Some(reason) = dead_letter.refusal() {
        say(format_args!("refused: {}", visible(reason.as_bytes())));
    }
    if let Some(discarded) = discarded(dead_letter) {
        say(visible(discarded.as_bytes()));
    }
    say(format_args!(
        "key: {}",
        visible_or_none(record.key.as_deref())
    ));
    say("headers:");
    for (name, value) in record.header_pairs() {
        say(format_args!(
            "  {}: {}",
            visible(name.as_bytes()),
            visible_or_none(value)
        ));
    }
    match record.value.as_deref() {
        None => say("value: none (a tombstone)"),
        Some(value) => {
            say(format_args!("value, {}:", counted(value.len(), "byte")));
            say(visible_start(value, MAX_VALUE_BYTES));
        }
    }
}

/// How a person discards this dead letter.
pub fn discard_command(topic: Topic, dead_letter: &DeadLetter) -> String {
    let record = &dead_letter.record;
    format!(
        "./sandbox dlq discard {topic} --partition {} --offset {} --yes",
        record.partition, record.offset
    )
}

fn one_line(text: &str) -> String {
    const WIDTH: usize = 100;
    let line = visible(text.as_bytes());
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(&line)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::record_text::tests::hostile_record;

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

    fn dead_letter(state: DeadLetterState) -> DeadLetter {
        let mut record = hostile_record(2, 17, "value");
        record.topic = "inventory.dlq".to_owned();
        DeadLetter {
            headers: Err("header dlq-original-topic: is missing".to_owned()),
            record,
            state,
        }
    }

    #[test]
    fn a_dead_letter_cannot_control_the_terminal() {
        let refused = ReplayDecision::Refuse("\u{1b}[31m".to_owned());
        let row = row(&dead_letter(DeadLetterState::Waiting(refused)));
        assert_eq!(
            (row[1].as_str(), row[6].as_str()),
            ("a\\u001b[2J", "\\u001b[31m")
        );
        assert_eq!(one_line(&"ü".repeat(200)).chars().count(), 101);
    }

    #[test]
    fn a_refused_and_a_discarded_dead_letter_say_why() {
        let refused = ReplayDecision::Refuse("is too large".to_owned());
        let refused = dead_letter(DeadLetterState::Waiting(refused));
        let shown = json(&refused);
        assert_eq!(
            (&shown["state"], &shown["discarded"]),
            (&json!("refused"), &Value::Null)
        );
        assert_eq!(shown["refusedBecause"], "is too large");
        assert_eq!(
            discard_command(Topic::InventoryDlq, &refused),
            "./sandbox dlq discard inventory.dlq --partition 2 --offset 17 --yes"
        );

        let discarded = dead_letter(DeadLetterState::Discarded {
            reason: Some("a test order".to_owned()),
            at_ms: Some(0),
        });
        let shown = json(&discarded);
        assert_eq!(
            (&shown["state"], &shown["refusedBecause"]),
            (&json!("discarded"), &Value::Null)
        );
        assert_eq!(shown["discarded"]["reason"], "a test order");
        let row = row(&discarded);
        assert_eq!(row[5], "discarded");
        assert_eq!(
            row[6],
            "discarded at 1970-01-01T00:00:00.000Z: a test order"
        );
    }

    #[test]
    fn a_topic_is_named_without_the_prefix_of_the_stack() {
        assert_eq!(without_prefix("second.inventory.dlq"), "inventory.dlq");
        assert_eq!(without_prefix("inventory.dlq"), "inventory.dlq");
    }
}
