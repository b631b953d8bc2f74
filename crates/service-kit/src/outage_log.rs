//! Which reasons of an outage are logged: an outage is reported once, with its end.
//!
//! A loop that retries has a new reason for each attempt ("connection refused, 1 ms", "…, 2 ms"),
//! and would fill the log with them.

use std::time::{Duration, Instant};

/// Different reasons of one outage that are logged at once. The first is often only "not yet", and
/// a later one has the cause.
const LOGGED_AT_ONCE: usize = 4;

/// How often a further reason is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The log of one thing that may fail for a while: says which reasons to log, and how long the
/// outage lasted.
#[derive(Debug, Default)]
pub struct OutageLog {
    since: Option<Instant>,
    /// The logged reasons of this outage, without their numbers.
    logged: Vec<String>,
    last_logged: Option<Instant>,
}

impl OutageLog {
    /// It does not work, for this reason. Whether the reason must be logged: a reason that differs
    /// from those before only by numbers or by a text in parentheses need not.
    pub fn failed(&mut self, reason: &str) -> bool {
        let now = Instant::now();
        self.since.get_or_insert(now);
        let reason = without_numbers(reason);
        if self.logged.contains(&reason) {
            return false;
        }
        let is_recent = |last: Instant| now.duration_since(last) < LOG_INTERVAL;
        if self.logged.len() >= LOGGED_AT_ONCE {
            if self.last_logged.is_some_and(is_recent) {
                return false;
            }
            self.logged.remove(0);
        }
        self.logged.push(reason);
        self.last_logged = Some(now);
        true
    }

    /// It works. How long it did not; `None` if it has worked before.
    pub fn ended(&mut self) -> Option<Duration> {
        self.logged.clear();
        self.last_logged = None;
        self.since.take().map(|since| since.elapsed())
    }
}

/// The reason without digits and without texts in parentheses, such as `(after 3 ms in state UP)`.
fn without_numbers(reason: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::with_capacity(reason.len());
    for letter in reason.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 || letter.is_ascii_digit() => {}
            _ => kept.push(letter),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_logged_once_with_its_end() {
        let mut log = OutageLog::default();
        assert_eq!(log.ended(), None);
        assert!(log.failed("connection refused (after 0ms in state CONNECT)"));
        for attempt in 0..100 {
            let reason =
                format!("connection refused (after {attempt}ms, 5 identical errors suppressed)");
            assert!(!log.failed(&reason));
        }
        assert!(log.ended().is_some());
        assert!(log.failed("connection refused (after 0ms in state CONNECT)"));
    }

    #[test]
    fn alternating_reasons_are_logged_once_each() {
        let mut log = OutageLog::default();
        let reasons = ["disconnected", "connection refused, attempt 1"];
        let mut logged = 0;
        for attempt in 0..100 {
            logged += u32::from(log.failed(reasons[attempt % 2]));
        }
        assert_eq!(logged, 2);
    }

    #[test]
    fn no_more_than_four_reasons_are_logged_at_once() {
        let mut log = OutageLog::default();
        let letters = ('a'..='z').map(|letter| log.failed(&letter.to_string()));
        assert_eq!(letters.filter(|logged| *logged).count(), LOGGED_AT_ONCE);
    }
}
