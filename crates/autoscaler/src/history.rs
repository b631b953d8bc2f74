//! What is remembered of earlier readings: the time since the lag is 0, the numbers that were wanted, the last step, and rates.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::decide::Decision;
use crate::demand::lag_of;
use crate::effect::{PendingEffect, StepEffect};
use crate::reading::{Rates, Reading};
use crate::settings::Settings;

/// The time span of a rate. A member that works 5 s on a record commits three times in it.
const RATE_WINDOW: TimeDelta = TimeDelta::seconds(20);

/// The memory of the autoscaler.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Since when each reading had the lag 0, and nothing was read between two of them: a fast group under a steady load has
    /// the lag 0 at most readings, and is not idle.
    caught_up_since: Option<DateTime<Utc>>,
    /// The numbers that were wanted within the stabilization window, oldest first.
    wanted: VecDeque<(DateTime<Utc>, u32)>,
    /// The last step, until the group has committed after it.
    step: Option<Step>,
    progress: BTreeMap<(String, i32), Progress>,
    /// Readings of the last [`RATE_WINDOW`] with the present number of members, and one before.
    recent: VecDeque<Reading>,
    rates: Option<Rates>,
    member_rate: Option<f64>,
    effect: Option<PendingEffect>,
}

/// A change of the number of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: DateTime<Utc>,
    /// The sum of the committed offsets before it.
    committed: i64,
}

/// The committed offset of a partition.
#[derive(Debug, Clone, Copy)]
struct Progress {
    committed: Option<i64>,
    since: DateTime<Utc>,
    /// Whether it was the same at the reading before.
    is_unmoved: bool,
}

impl History {
    /// Takes in a reading, before [`decide`](crate::decide) is asked about it. Returns the effect of the last step as soon as
    /// it can be measured.
    pub fn observe(&mut self, settings: &Settings, reading: &Reading) -> Option<StepEffect> {
        let now = reading.at;
        // What runs was wanted when the autoscaler started, as for Kubernetes' autoscaler.
        if self.wanted.is_empty() {
            self.wanted.push_back((now, reading.replicas));
        }
        let has_read = self.observe_progress(reading);
        self.caught_up_since = match (is_caught_up(settings, reading), self.caught_up_since) {
            (false, _) => None,
            (true, Some(since)) if !has_read => Some(since.min(now)),
            (true, _) => Some(now),
        };
        self.step = self.step.filter(|step| !step.is_done(reading));
        if self.step.is_none() {
            self.observe_rates(reading);
        }
        let measured = self.effect.as_ref()?.measured(&self.recent)?;
        self.effect = None;
        Some(measured)
    }

    /// Remembers the number that a decision wanted.
    pub fn record(&mut self, settings: &Settings, decision: &Decision) {
        let window = time_delta(settings.stabilization_window);
        let oldest = decision.at.checked_sub_signed(window);
        self.wanted
            .retain(|(at, _)| oldest.is_none_or(|oldest| *at >= oldest) && *at <= decision.at);
        self.wanted.push_back((decision.at, decision.demand.wanted));
    }

    /// Remembers that the decision was carried out: the next step waits until the group has committed.
    pub fn stepped(&mut self, reading: &Reading, decision: &Decision) {
        self.effect = Some(PendingEffect::new(decision.from, decision.to, self.rates));
        self.recent.clear();
        self.rates = None;
        self.step = (decision.to > 0).then(|| Step {
            at: reading.at,
            committed: reading.committed(),
        });
    }

    /// The last step, if the group has not committed since.
    pub(crate) fn open_step(&self) -> Option<Step> {
        self.step
    }

    /// How much of the cooldown is left; `None` unless the lag is 0.
    pub(crate) fn cooldown_left(
        &self,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        let passed = (now - self.caught_up_since?).to_std().unwrap_or_default();
        Some(settings.cooldown_period.saturating_sub(passed))
    }

    /// The greatest number that was wanted within the stabilization window, and how long it still counts.
    pub(crate) fn highest_wanted(
        &self,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Option<(u32, Duration)> {
        let left = |at: &DateTime<Utc>| {
            let passed = (now - *at).to_std().unwrap_or_default();
            settings.stabilization_window.checked_sub(passed)
        };
        let within = self.wanted.iter();
        let within = within.filter_map(|(at, wanted)| Some((*wanted, left(at)?)));
        within.max()
    }

    /// Whether the committed offset of a partition is that of the reading before.
    pub(crate) fn is_unmoved(&self, key: &(String, i32)) -> bool {
        self.progress.get(key).is_some_and(|one| one.is_unmoved)
    }

    /// Since when the committed offset of a partition has not moved.
    pub(crate) fn unmoved_since(&self, key: &(String, i32)) -> Option<DateTime<Utc>> {
        self.progress.get(key).map(|one| one.since)
    }

    /// The rates with the present number of members.
    pub fn rates(&self) -> Option<Rates> {
        self.rates
    }

    /// The records a second that one busy member reads, measured last.
    pub fn member_rate(&self) -> Option<f64> {
        self.member_rate
    }

    /// Whether the group has committed since the reading before.
    fn observe_progress(&mut self, reading: &Reading) -> bool {
        let before = std::mem::take(&mut self.progress);
        let mut has_read = false;
        for one in &reading.partitions {
            let known = before.get(&one.key());
            has_read |= known.is_some_and(|known| known.committed != one.committed);
            let same = known.filter(|known| known.committed == one.committed);
            let progress = Progress {
                committed: one.committed,
                since: same.map_or(reading.at, |known| known.since),
                is_unmoved: same.is_some() && one.committed.is_some(),
            };
            self.progress.insert(one.key(), progress);
        }
        has_read
    }

    fn observe_rates(&mut self, reading: &Reading) {
        // Rates with another number of members, or before the clock was set back, say nothing about these.
        let differs = |last: &Reading| last.replicas != reading.replicas || last.at >= reading.at;
        if self.recent.back().is_some_and(differs) {
            self.recent.clear();
        }
        while self
            .recent
            .get(1)
            .is_some_and(|second| reading.at - second.at >= RATE_WINDOW)
        {
            self.recent.pop_front();
        }
        let earlier = self.recent.front();
        self.rates = earlier.and_then(|earlier| reading.rates_since(earlier));
        let replicas = i64::from(reading.replicas);
        // A member without a record to read shows the rate of the producers, not its own.
        let is_busy = |one: &Reading| replicas > 0 && one.known_lag() >= replicas;
        if let Some(rates) = self.rates
            && rates.read > 0.0
            && is_busy(reading)
            && self.recent.iter().all(is_busy)
        {
            self.member_rate = Some(rates.read / f64::from(reading.replicas));
        }
        self.recent.push_back(reading.clone());
    }
}

impl Step {
    /// Whether the group is stable and has committed since, or has nothing left to commit.
    fn is_done(&self, reading: &Reading) -> bool {
        let has_committed = reading.state == "Stable" && reading.committed() > self.committed;
        has_committed || reading.is_caught_up()
    }
}

/// Whether every partition counts as lag 0.
fn is_caught_up(settings: &Settings, reading: &Reading) -> bool {
    let mut lags = reading.partitions.iter();
    lags.all(|one| lag_of(settings, one) == Some((0, true)))
}

/// The settings are bounded; a time that does not fit is the longest one.
pub(crate) fn time_delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}
