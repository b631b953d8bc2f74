//! A run of a scenario as one HTML file that needs nothing besides itself.
//!
//! Read in this order: [`sampler`] (reads the stack once a second while the scenario runs), [`samples`] (what is kept), [`changes`]
//! (settings before and after), [`chart`] (lines over time), [`page`] (the HTML), [`escape`] (how text of others gets into it).

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

use crate::runner::{Scenario, ScenarioOutcome};
use samples::Samples;

/// The content of a page.
pub struct Report<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its result.
    pub outcome: &'a ScenarioOutcome,
    /// The samples taken meanwhile.
    pub samples: &'a Samples,
    /// The start, as a date.
    pub date: DateTime<Utc>,
    /// The start, for the charts.
    pub begun: Instant,
    /// The duration.
    pub took: Duration,
    /// Versions and machine: name and value.
    pub versions: Vec<(String, String)>,
}

impl Report<'_> {
    /// Seconds from the start to this moment.
    pub fn since(&self, moment: Instant) -> f64 {
        moment.saturating_duration_since(self.begun).as_secs_f64()
    }

    /// When the section `Restore` began, in seconds from the start; the end, if there is none.
    pub fn restored_at(&self) -> f64 {
        let mut restoring = self.outcome.steps.iter();
        let first = restoring.nth(self.scenario.readme.steps.len());
        let begun = first.and_then(|step| step.begun);
        begun.map_or(self.took.as_secs_f64(), |begun| self.since(begun))
    }
}
