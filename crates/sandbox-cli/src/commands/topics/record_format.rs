//! A record of a topic as text and as JSON.

use kafka_admin::records::{MissingOffsets, Record};
use serde_json::{Value, json};

use crate::commands::record_text::{json_fields, time, visible, visible_or_none};

/// The record as lines of text: position, time and key, then headers, then the value.
pub(super) fn as_text(record: &Record) -> String {
    let Record {
        topic,
        partition,
        offset,
        ..
    } = record;
    let at = time(record.timestamp_ms).unwrap_or_else(|| "no time".to_owned());
    let key = visible_or_none(record.key.as_deref());
    let mut text = format!("{topic}/{partition}/{offset}  {at}  key {key}");
    match &record.headers {
        None => text += "\n    headers that are not UTF-8",
        Some(headers) => {
            for (name, value) in headers {
                let value = visible_or_none(value.as_deref());
                text += &format!("\n    {}: {value}", visible(name.as_bytes()));
            }
        }
    }
    let value = record.value.as_deref();
    let value = value.map_or_else(|| "no value (a tombstone)".to_owned(), visible);
    text + "\n    " + &value
}

/// The record as JSON, see [`json_fields`].
pub(super) fn as_json(record: &Record) -> Value {
    let mut fields = json_fields(record);
    fields.insert("topic".to_owned(), json!(record.topic));
    fields.insert("partition".to_owned(), json!(record.partition));
    fields.insert("offset".to_owned(), json!(record.offset));
    Value::Object(fields)
}

/// Records that were asked for and deleted before, as JSON: an object without the fields of a record.
pub(super) fn missing_as_json(missing: &MissingOffsets) -> Value {
    json!({"missing": {
        "topic": missing.topic,
        "partition": missing.partition,
        "fromOffset": missing.from,
        "logStart": missing.log_start,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::record_text::tests::hostile_record;

    #[test]
    fn a_record_cannot_control_the_terminal() {
        let record = hostile_record(0, 7, "x\n\u{9b}31m\u{fc}\u{feff}");
        let text = as_text(&record);
        let expected = "orders/0/7  1970-01-01T00:00:00.000Z  key a\\u001b[2J\n    h\\r: \\u0007\n    x\\n\\u009b31mü\\ufeff";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_record_in_json_has_its_place_and_its_fields() {
        let record = as_json(&hostile_record(2, 7, "x"));
        assert_eq!(record["topic"], "orders");
        assert_eq!(
            (&record["partition"], &record["offset"]),
            (&json!(2), &json!(7))
        );
        assert_eq!(
            (&record["value"], &record["keyIsUtf8"]),
            (&json!("x"), &json!(true))
        );
    }
}
