//! Query parameters, read one by one, so that an answer names every wrong one with its limit.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::Problem;
use crate::problem::FieldError;

/// The parameters nobody has taken yet, and what was wrong with those taken. As an extractor it answers 400 to a query that cannot
/// be read.
#[derive(Debug)]
pub struct Parameters {
    given: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

/// A whole number from `LOW` to `HIGH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within<const LOW: u32, const HIGH: u32>(pub u32);

impl Parameters {
    /// Takes a parameter that may be there. `None` if it is missing or wrong, of which [`Parameters::finish`] then tells.
    pub fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let (mut found, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.given)
            .into_iter()
            .partition(|(given, _)| given == name);
        self.given = others;
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

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 if any was wrong or is left over.
    pub fn finish(mut self) -> Result<(), Problem> {
        let unknown = self.given.into_iter().take(1);
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

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(given) = query.map_err(|_| Problem::bad_request("the query cannot be read"))?;
        Ok(Self {
            given,
            errors: Vec::new(),
        })
    }
}

impl<const LOW: u32, const HIGH: u32> FromStr for Within<LOW, HIGH> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text
            .parse()
            .ok()
            .filter(|number| (LOW..=HIGH).contains(number));
        number
            .map(Self)
            .ok_or_else(|| format!("must be a whole number from {LOW} to {HIGH}"))
    }
}
