//! JSON bodies, read field by field, so that an answer names *every* wrong field with its limit.
//!
//! ```
//! # use service_kit::{Problem, body::Fields};
//! # fn read(body: &[u8]) -> Result<(u32, String), Problem> {
//! let mut fields = Fields::read(body)?;
//! let (count, name) = (fields.take("count"), fields.take("name"));
//! fields.finish(count.zip(name))
//! # }
//! # assert_eq!(read(br#"{"count": 1, "name": "a"}"#).unwrap(), (1, "a".to_owned()));
//! ```

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::Problem;
use crate::problem::FieldError;

const JSON: &str = "application/json";

/// The fields of a JSON object that nobody has taken yet, and what was wrong with those taken.
///
/// As an extractor it answers 415 to another content type than `application/json` and 400 to what is not a JSON object.
#[derive(Debug, Default)]
pub struct Fields {
    given: BTreeMap<String, Box<RawValue>>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of this JSON object; 400 if it is none. Of two fields with one name the last counts.
    pub fn read(json: &[u8]) -> Result<Self, Problem> {
        if json.is_empty() {
            return Err(Problem::bad_request(
                "the body is empty; it must be a JSON object",
            ));
        }
        let given = serde_json::from_slice(json).map_err(|error| {
            Problem::bad_request(match error.classify() {
                Category::Data => "the body must be a JSON object".to_owned(),
                Category::Syntax | Category::Eof | Category::Io => {
                    format!("the body is not JSON: {error}")
                }
            })
        })?;
        Ok(Self {
            given,
            errors: Vec::new(),
        })
    }

    /// Takes a field that must be there. `None` if it is missing or wrong, of which [`Fields::finish`] then tells. The type's
    /// own error is the text: it should name the limit.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let Some(value) = self.given.remove(name) else {
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

    /// What was made of the fields, if all of them were right and none is left over; else 422 with all that is wrong.
    pub fn finish<T>(self, made: Option<T>) -> Result<T, Problem> {
        let Self { given, mut errors } = self;
        let unknown = given.into_keys();
        errors.extend(unknown.map(|name| FieldError::new(name, "is not a field of this request")));
        match made {
            Some(made) if errors.is_empty() => Ok(made),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type(JSON));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|_| Problem::bad_request("the body cannot be read"))?;
        Self::read(&body)
    }
}

/// Parameters of the media type (`; charset=utf-8`) do not matter: JSON is UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(JSON))
}

/// serde_json's text without its "at line 1 column 7", which would count within the field and not within the body.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<(u32, String), Problem> {
        let mut fields = Fields::read(body.as_bytes())?;
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
    fn what_is_no_json_object_cannot_be_read() {
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
            Fields::read(b"{\"a\": \"\xff\"}").unwrap_err().status(),
            400
        );
    }

    proptest::proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
            if let Ok(mut fields) = Fields::read(&body) {
                let _: Option<u32> = fields.take("count");
            }
        }
    }
}
