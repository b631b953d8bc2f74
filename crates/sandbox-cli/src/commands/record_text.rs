//! A record's bytes as text and as JSON: what `topics tail`, `dlq` and `logs --order` share.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};
use kafka_admin::records::Record;
use serde_json::{Map, Value, json};
use service_kit::escape::escape_line;
use stack::terminal::counted;

/// The time of a record, RFC 3339 with milliseconds.
pub fn time(timestamp_ms: Option<i64>) -> Option<String> {
    let at = DateTime::from_timestamp_millis(timestamp_ms?)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The bytes as text on one line. Control characters and byte-order marks are escaped, and so are bytes that are not UTF-8
/// (`\xff`), since a record may hold anything.
pub fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text += &escape_line(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// As [`visible`]; `none` if there are none.
pub fn visible_or_none(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "none".to_owned(), visible)
}

/// The first bytes as text, and how many follow.
pub fn visible_start(bytes: &[u8], most: usize) -> String {
    if bytes.len() <= most {
        return visible(bytes);
    }
    // Not in the middle of a character, which has at most four bytes.
    let is_start = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (most.saturating_sub(3)..=most).rev().find(is_start);
    let (start, rest) = bytes.split_at(end.unwrap_or(most));
    format!(
        "{} … and {} more",
        visible(start),
        counted(rest.len(), "byte")
    )
}

/// The fields of a record in JSON. Bytes that are not UTF-8 become replacement characters, and the field `…IsUtf8` beside them is
/// false; `keyBytes` and `valueBytes` are exact.
pub fn json_fields(record: &Record) -> Map<String, Value> {
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    // `None` if the name of a header is not UTF-8: then no header can be read.
    let headers: Option<Vec<Value>> = record.headers.as_ref().map(|headers| {
        let header = |(name, value): &(String, Option<Vec<u8>>)| {
            let value = value.as_deref();
            json!({"name": name, "value": lossy(value), "valueIsUtf8": is_utf8(value)})
        };
        headers.iter().map(header).collect()
    });
    let fields = json!({
        "timestamp": time(record.timestamp_ms),
        "key": lossy(key),
        "keyIsUtf8": is_utf8(key),
        "keyBytes": key.map(<[u8]>::len),
        "headers": headers,
        "value": lossy(value),
        "valueIsUtf8": is_utf8(value),
        "valueBytes": value.map(<[u8]>::len),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn lossy(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn is_utf8(bytes: Option<&[u8]>) -> Option<bool> {
    bytes.map(|bytes| std::str::from_utf8(bytes).is_ok())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A record whose bytes try to control the terminal.
    pub fn hostile_record(partition: i32, offset: i64, value: &str) -> Record {
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
    fn what_does_not_print_is_visible() {
        for (bytes, text) in [
            (&b"plain \"text\""[..], "plain \"text\""),
            (b"\xef\xbb\xbfa", "\\ufeffa"),
            (b"a\x1b[31m\n\xffb", "a\\u001b[31m\\n\\xffb"),
            (b"\xc3", "\\xc3"),
            ("über".as_bytes(), "über"),
            (b"", ""),
        ] {
            assert_eq!(visible(bytes), text);
        }
    }

    #[test]
    fn a_long_value_is_cut_between_two_characters() {
        assert_eq!(visible_start("üü".as_bytes(), 4), "üü");
        assert_eq!(visible_start("üü".as_bytes(), 3), "ü … and 2 bytes more");
        assert_eq!(visible_start(b"abc", 2), "ab … and 1 byte more");
        assert!(visible_start(&[0x80; 9], 5).ends_with("bytes more"));
        assert!(visible_start(&[0x80; 9], 0).ends_with("and 9 bytes more"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_marked_in_json() {
        let mut record = hostile_record(0, 0, "value");
        let marks = |record: &Record| {
            let fields = json_fields(record);
            let header = &fields["headers"][0]["valueIsUtf8"];
            [&fields["keyIsUtf8"], header, &fields["valueIsUtf8"]].map(Clone::clone)
        };
        assert_eq!(marks(&record), [json!(true), json!(true), json!(true)]);
        record.key = Some(vec![0xff]);
        record.headers = Some(vec![("h".to_owned(), Some(vec![0xfe]))]);
        record.value = Some(vec![0xc3]);
        assert_eq!(marks(&record), [json!(false), json!(false), json!(false)]);
        assert_eq!(json_fields(&record)["keyBytes"], 1);
        record.key = None;
        assert_eq!(json_fields(&record)["keyIsUtf8"], Value::Null);
    }
}
