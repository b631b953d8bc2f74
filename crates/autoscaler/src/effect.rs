//! Whether a step has helped: the rates before and after it.

use std::collections::VecDeque;
use std::fmt;

use chrono::TimeDelta;

use crate::reading::{Rates, Reading};

/// The shortest time in which the rate after a step is measured, unless the lag is gone earlier.
const MEASURED_FOR: TimeDelta = TimeDelta::seconds(15);

/// A rate that differs by less than this part is the same.
const SAME: f64 = 0.1;

/// A step whose effect is not measured yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingEffect {
    from: u32,
    to: u32,
    before: Option<Rates>,
}

/// The rates before and after a step. Its `Display` is one line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepEffect {
    /// The members before.
    pub from: u32,
    /// The members after.
    pub to: u32,
    /// Records a second before; `None` if they were not measured.
    pub before: Option<f64>,
    /// Records a second after.
    pub after: f64,
}

impl PendingEffect {
    pub(crate) fn new(from: u32, to: u32, before: Option<Rates>) -> Self {
        Self { from, to, before }
    }

    /// The effect, if the readings with the new number of members are enough. A group without members reads nothing.
    pub(crate) fn measured(&self, recent: &VecDeque<Reading>) -> Option<StepEffect> {
        let (first, last) = (recent.front()?, recent.back()?);
        let is_long = last.at - first.at >= MEASURED_FOR;
        if self.to == 0 || last.replicas != self.to || !(is_long || last.is_caught_up()) {
            return None;
        }
        let before = self.before.map(|rates| rates.read);
        Some(StepEffect {
            from: self.from,
            to: self.to,
            before: if self.from == 0 { Some(0.0) } else { before },
            after: last.rates_since(first)?.read,
        })
    }
}

impl fmt::Display for StepEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from, to, after, ..
        } = self;
        let Some(before) = self.before else {
            return write!(
                f,
                "{} read {after:.2} records/s; before, the rate was not measured",
                members(*to)
            );
        };
        let verdict = match after - before {
            more if more > before * SAME => "faster",
            less if less < -before * SAME => "slower",
            _ => "no faster",
        };
        write!(
            f,
            "did it help? {} read {before:.2} records/s, {} {after:.2}: {verdict}",
            members(*from),
            members(*to)
        )
    }
}

fn members(number: u32) -> String {
    match number {
        1 => "1 member".to_owned(),
        more => format!("{more} members"),
    }
}
