//! What a scenario was like, for somebody who was not there: one HTML file that needs nothing besides itself.
//!
//! Read in this order: [`sampler`] (who looks at the stack once a second while the scenario is played), [`samples`] (what is
//! kept of it), [`changes`] (settings, before and after), [`chart`] (lines over time), [`page`] (the whole of it), [`escape`]
//! (how foreign text gets in).

pub mod changes;
pub mod chart;
pub mod escape;
pub mod figures;
pub mod page;
pub mod sampler;
pub mod samples;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::runner::{Outcome, Scenario};
use samples::Samples;

/// All that a page tells of.
pub struct Report<'a> {
    /// What was played.
    pub scenario: &'a Scenario,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// What was seen meanwhile.
    pub samples: &'a Samples,
    /// When it began, for people.
    pub date: DateTime<Utc>,
    /// When it began, for the charts.
    pub begun: Instant,
    /// How long all of it took.
    pub took: Duration,
    /// Of what and where: name and value.
    pub versions: Vec<(String, String)>,
}

impl Report<'_> {
    /// Seconds from the beginning to this moment.
    pub fn since(&self, moment: Instant) -> f64 {
        moment.saturating_duration_since(self.begun).as_secs_f64()
    }

    /// When what restores began, seconds from the beginning; the end, if nothing did.
    pub fn restored_at(&self) -> f64 {
        let mut restoring = self.outcome.steps.iter();
        let first = restoring.nth(self.scenario.readme.steps.len());
        let begun = first.and_then(|step| step.begun);
        begun.map_or(self.took.as_secs_f64(), |begun| self.since(begun))
    }
}
