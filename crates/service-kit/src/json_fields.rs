//! JSON bodies, read field by field, so that an answer names every wrong field with its limit.
//!
//! `axum::Json` is not used: it stops at the first wrong field, also with `serde_path_to_error`,
//! and it takes the last of repeated fields.
//!
//! ```
//! # use service_kit::{Problem, json_fields::JsonFields};
//! # fn read(body: &[u8]) -> Result<(u32, String), Problem> {
//! let mut fields = JsonFields::read(body)?;
//! let (count, name) = (fields.take("count"), fields.take("name"));
//! fields.finish(count.zip(name))
//! # }
//! # assert_eq!(read(br#"{"count": 1, "name": "a"}"#).unwrap(), (1, "a".to_owned()));
//! ```

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::Problem;
use crate::problem::FieldError;

const JSON: &str = "application/json";

/// Not JSON, but written by Python and other languages.
const NOT_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// Most errors in one answer. Otherwise a small request could cause a large answer.
const MAX_ERRORS: usize = 20;

/// The fields of a JSON object not taken yet, and the errors of those taken.
///
/// As an extractor it answers 415 to another content type than `application/json`, and 400 if the
/// body is not a JSON object.
#[derive(Debug, Default)]
pub struct JsonFields {
    rest: BTreeMap<String, Box<RawValue>>,
    errors: Vec<FieldError>,
}

impl JsonFields {
    /// The fields of a JSON object; 400 if the text is not one. A repeated field is an error,
    /// because two programs may read different values of it.
    pub fn read(json: &[u8]) -> Result<Self, Problem> {
        if json.is_empty() {
            return Err(empty());
        }
        let fields = serde_json::from_slice(json).or_else(|error| match quoted_not_numbers(json) {
            Some(json) => serde_json::from_slice(&json),
            None => Err(error),
        });
        fields.map_err(|error| {
            Problem::bad_request(match error.classify() {
                Category::Data => "the body must be a JSON object".to_owned(),
                Category::Syntax | Category::Eof | Category::Io => {
                    format!("the body is not JSON: {error}")
                }
            })
        })
    }

    /// Takes a required field. `None` if it is missing or wrong; [`JsonFields::finish`] reports the
    /// error with the text of the type's own error, which should name the limit.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(value) = self.rest.remove(name) else {
            self.errors.push(FieldError::new(name, "is missing"));
            return None;
        };
        serde_json::from_str(value.get())
            .map_err(|error| {
                self.errors
                    .push(FieldError::new(name, without_position(&error)))
            })
            .ok()
    }

    /// Takes an optional field. `None` if it is missing or wrong; [`JsonFields::finish`] reports
    /// the error.
    pub fn take_if_given<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match self.rest.contains_key(name) {
            true => self.take(name),
            false => None,
        }
    }

    /// The value read from the fields. 422 with all errors if a field was wrong or is left over.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        let Self { rest, mut errors } = self;
        let unknown = rest.into_keys();
        errors.extend(unknown.map(|name| FieldError::new(name, "is not a field of this request")));
        errors.truncate(MAX_ERRORS);
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonFields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|_| Problem::bad_request("the body cannot be read"))?;
        match (body.is_empty(), is_json) {
            // A request without a body has no content type either; the missing body is the error.
            (true, _) => Err(empty()),
            (false, false) => Err(Problem::unsupported_media_type(JSON)),
            (false, true) => Self::read(&body),
        }
    }
}

impl<'de> Deserialize<'de> for JsonFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = JsonFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<JsonFields, M::Error> {
        let mut fields = JsonFields::default();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            match fields.rest.entry(name) {
                Entry::Vacant(field) => drop(field.insert(value)),
                Entry::Occupied(field) => {
                    let repeated = FieldError::new(field.key().as_str(), "is given twice");
                    fields.errors.push(repeated);
                }
            }
        }
        Ok(fields)
    }
}

fn empty() -> Problem {
    Problem::bad_request("the body is empty; it must be a JSON object")
}

/// The body with quotes around each `NaN` and `Infinity`; `None` if it has none. With quotes, the
/// field is present with a wrong type, so the answer names the field and its limit.
fn quoted_not_numbers(json: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::with_capacity(json.len() + 2);
    let mut rest = json;
    let (mut in_text, mut escaped) = (false, false);
    while let Some((&byte, after)) = rest.split_first() {
        let word = NOT_NUMBERS
            .into_iter()
            .find(|word| !in_text && rest.starts_with(word));
        if let Some(word) = word {
            quoted.push(b'"');
            quoted.extend_from_slice(word);
            quoted.push(b'"');
            rest = rest.get(word.len()..).unwrap_or_default();
            continue;
        }
        in_text ^= byte == b'"' && !escaped;
        escaped = in_text && byte == b'\\' && !escaped;
        quoted.push(byte);
        rest = after;
    }
    (quoted.len() > json.len()).then_some(quoted)
}

/// Parameters of the media type (`; charset=utf-8`) are ignored: JSON is always UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(JSON))
}

/// serde_json's text without "at line 1 column 7": that position is relative to the field, not to
/// the body.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<(u32, String), Problem> {
        let mut fields = JsonFields::read(body.as_bytes())?;
        let (count, name) = (fields.take("count"), fields.take("name"));
        fields.finish(count.zip(name))
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let problem = read(r#"{"count": "x", "nmae": "a", "other": 1}"#).unwrap_err();
        assert_eq!(problem.status(), 422);
        let text = format!("{problem:?}");
        for part in [
            "count",
            "expected u32",
            "name",
            "is missing",
            "nmae",
            "other",
            "is not a field",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("line 1"), "{text}");
    }

    #[test]
    fn a_body_other_than_a_json_object_is_a_bad_request() {
        for body in [
            "",
            "{",
            "nonsense",
            "[]",
            "1",
            "null",
            "\u{0}",
            r#"{"count": 1e}"#,
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.status(), 400, "{body}: {problem:?}");
        }
        assert_eq!(
            JsonFields::read(b"{\"a\": \"\xff\"}").unwrap_err().status(),
            400
        );
    }

    #[test]
    fn an_optional_field_is_checked_when_it_is_present() {
        let count = |body: &str| {
            let mut fields = JsonFields::read(body.as_bytes())?;
            let count: Option<u32> = fields.take_if_given("count");
            fields.finish(Some(count))
        };
        assert_eq!(count("{}").unwrap(), None);
        assert_eq!(count(r#"{"count": 7}"#).unwrap(), Some(7));
        for wrong in [r#"{"count": null}"#, r#"{"count": "7"}"#, r#"{"other": 7}"#] {
            assert_eq!(count(wrong).unwrap_err().status(), 422, "{wrong}");
        }
    }

    #[test]
    fn a_repeated_field_is_wrong() {
        let text = format!(
            "{:?}",
            read(r#"{"count": 1, "count": 1, "name": "a"}"#).unwrap_err()
        );
        assert!(text.contains("is given twice"), "{text}");
    }

    #[test]
    fn nan_is_a_wrong_field_in_a_valid_body() {
        for value in ["NaN", "Infinity", "-Infinity", "1e400"] {
            let body = format!(r#"{{"name": "NaN \\\" NaN", "count": {value}}}"#);
            let problem = read(&body).unwrap_err();
            assert_eq!(problem.status(), 422, "{body}: {problem:?}");
            assert!(format!("{problem:?}").contains("count"), "{problem:?}");
        }
        assert_eq!(read(r#"{"count": NaNa}"#).unwrap_err().status(), 400);
    }

    #[test]
    fn an_answer_names_no_more_than_twenty_wrong_fields() {
        let many: Vec<_> = (0..1000).map(|n| format!(r#""field{n}": 1"#)).collect();
        let text = format!(
            "{:?}",
            read(&format!("{{{}}}", many.join(","))).unwrap_err()
        );
        assert_eq!(text.matches("FieldError").count(), MAX_ERRORS, "{text}");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
            if let Ok(mut fields) = JsonFields::read(&body) {
                let _: Option<u32> = fields.take("count");
            }
        }
    }
}
