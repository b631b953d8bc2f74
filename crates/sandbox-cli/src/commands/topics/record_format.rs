//! A record of a topic as text and as JSON.

use chrono::{DateTime, SecondsFormat};
use kafka_admin::records::Record;
use serde_json::{Value, json};

fn time(record: &Record) -> Option<String> {
    let at = DateTime::from_timestamp_millis(record.timestamp_ms?)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The record as lines of text: position, time and key, then headers, then the value.
pub(super) fn as_text(record: &Record) -> String {
    let Record {
        topic,
        partition,
        offset,
        ..
    } = record;
    let at = time(record).unwrap_or_else(|| "no time".to_owned());
    let key = record
        .key
        .as_deref()
        .map_or_else(|| "none".to_owned(), escaped);
    let mut text = format!("{topic}/{partition}/{offset}  {at}  key {key}");
    match &record.headers {
        None => text += "\n    headers that are not UTF-8",
        Some(headers) => {
            for (name, value) in headers {
                let value = value.as_deref().map_or_else(|| "none".to_owned(), escaped);
                text += &format!("\n    {}: {value}", escaped(name.as_bytes()));
            }
        }
    }
    let value = record.value.as_deref();
    let value = value.map_or_else(|| "no value (a tombstone)".to_owned(), escaped);
    text + "\n    " + &value
}

/// The record as JSON. Bytes that are not UTF-8 become replacement characters; `valueBytes` is exact.
pub(super) fn as_json(record: &Record) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = record.headers.as_ref().map(|headers| {
        let headers = headers.iter();
        let header =
            |(name, value): &(String, Option<Vec<u8>>)| json!({"name": name, "value": value.as_deref().map(text)});
        headers.map(header).collect::<Vec<Value>>()
    });
    json!({
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": time(record),
        "key": record.key.as_deref().map(text),
        "headers": headers,
        "value": record.value.as_deref().map(text),
        "valueBytes": record.value.as_ref().map(Vec::len),
    })
}

/// The bytes as text. Control characters are escaped, so that they cannot move the cursor or change a colour.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        match c.is_control() {
            true => text.extend(c.escape_default()),
            false => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, offset: i64, value: &str) -> Record {
        Record {
            topic: "orders".to_owned(),
            partition,
            offset,
            timestamp_ms: Some(0),
            key: Some(b"a\x1b[2J".to_vec()),
            headers: Some(vec![("h\r".to_owned(), Some(b"\x07".to_vec()))]),
            value: Some(value.as_bytes().to_vec()),
        }
    }

    #[test]
    fn a_record_cannot_control_the_terminal() {
        let record = record(0, 7, "x\n\u{9b}31m\u{fc}");
        let text = as_text(&record);
        let expected = "orders/0/7  1970-01-01T00:00:00.000Z  key a\\u{1b}[2J\n    h\\r: \\u{7}\n    x\\n\\u{9b}31mü";
        assert_eq!(text, expected);
    }
}
