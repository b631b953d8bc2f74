//! One result of an examination, and how to repair what it found.

use serde::Serialize;

/// The result of examining one thing.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The thing: `java`, `port 3000 for order-service.1`, `kafka`.
    pub what: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, in words.
    pub found: String,
    /// How to repair it; `None` if nothing needs repair.
    pub fix: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing needs repair.
    Ok,
    /// Unusual; the stack works all the same.
    Warning,
    /// The stack or a service cannot work.
    Problem,
}

impl Finding {
    /// Nothing needs repair.
    pub fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            severity: Severity::Ok,
            found: found.into(),
            fix: None,
        }
    }

    /// Unusual; the stack works all the same.
    pub fn warning(
        what: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            fix: Some(fix.into()),
            ..Self::ok(what, found)
        }
    }

    /// The stack or a service cannot work.
    pub fn problem(
        what: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Problem,
            ..Self::warning(what, found, fix)
        }
    }
}
