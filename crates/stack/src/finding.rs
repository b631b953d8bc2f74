//! What was found out about one thing, and what to do about it.

use serde::Serialize;

/// What was found out about one thing.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The thing.
    pub what: String,
    /// How it is.
    pub verdict: Verdict,
    /// In words.
    pub found: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing; it works all the same.
    Odd,
    /// In the way.
    Bad,
}

impl Finding {
    /// As it should be.
    pub fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            verdict: Verdict::Good,
            found: found.into(),
            fix: None,
        }
    }

    /// Worth knowing.
    pub fn odd(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Odd,
            fix: Some(fix.into()),
            ..Self::good(what, found)
        }
    }

    /// In the way.
    pub fn bad(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Bad,
            ..Self::odd(what, found, fix)
        }
    }
}
