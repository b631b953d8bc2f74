//! Query parameters, read one by one, so that an answer names every wrong parameter with its limit.
//!
//! axum's `Query<T>` with a derived `Deserialize` is not used: it stops at the first wrong
//! parameter.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::Problem;
use crate::problem::FieldError;

/// The parameters not taken yet, and the errors of those taken. As an extractor it answers 400 to a
/// query that cannot be decoded.
#[derive(Debug)]
pub struct QueryParams {
    rest: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

/// A parameter that is `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub bool);

impl FromStr for Flag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let flag = text.parse().map_err(|_| "must be true or false")?;
        Ok(Self(flag))
    }
}

impl QueryParams {
    /// Takes an optional parameter. `None` if it is missing or wrong; [`QueryParams::finish`]
    /// reports the error.
    pub fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let (mut found, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.rest)
            .into_iter()
            .partition(|(given, _)| given == name);
        self.rest = rest;
        let (_, value) = found.pop()?;
        if !found.is_empty() {
            self.errors
                .push(FieldError::new(name, "must be given once"));
            return None;
        }
        value
            .parse()
            .map_err(|limit: T::Err| self.errors.push(FieldError::new(name, limit.to_string())))
            .ok()
    }

    /// Call it after the last parameter is taken.
    ///
    /// # Errors
    /// 422 if a taken parameter was wrong or another parameter is left.
    pub fn finish(mut self) -> Result<(), Problem> {
        let unknown = self.rest.into_iter().take(1);
        self.errors.extend(
            unknown.map(|(name, _)| FieldError::new(name, "is not a parameter of this request")),
        );
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(rest) = query.map_err(|_| Problem::bad_request("the query cannot be decoded"))?;
        Ok(Self {
            rest,
            errors: Vec::new(),
        })
    }
}
