//! From the reading to the number of members that is wanted: the formula, then its limits.

use std::time::Duration;

use crate::history::History;
use crate::reading::{PartitionReading, Reading, Waiting};
use crate::settings::Settings;

/// The number that the lag asks for, with the numbers of each step.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// The records that count.
    pub lag: i64,
    /// Whether `lag` is exact; otherwise there may be more.
    pub is_exact: bool,
    /// How the lag becomes a number.
    pub signal: Signal,
    /// The quotient.
    pub ratio: f64,
    /// The quotient, rounded up.
    pub rounded: u32,
    /// The limits that changed the number, and the number after each.
    pub limits: Vec<(Limit, u32)>,
    /// The number after all limits.
    pub wanted: u32,
    /// The partitions whose lag is not known, with the reason.
    pub unknown: Vec<(String, Waiting)>,
    /// The partitions whose records do not count because the group makes no progress on them.
    pub excluded: Vec<String>,
}

/// The formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Signal {
    /// `lag / lagThreshold`
    LagThreshold(i64),
    /// `(lag / time + written) / read by a member`, records a second.
    Drain {
        /// The time.
        within: Duration,
        /// Records that are written a second.
        written: f64,
        /// Records that a member reads a second.
        member_rate: f64,
    },
    /// The same, while no rate is measured: the members that run, or one.
    DrainNotMeasured {
        /// The time.
        within: Duration,
    },
}

/// What limits the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A member beyond the number of partitions is idle.
    Partitions(u32),
    /// `limitToPartitionsWithLag`
    PartitionsWithLag(u32),
    /// `maxReplicaCount`
    MaxReplicas(u32),
    /// The service can have so many instances where it runs.
    Instances(u32),
    /// `ensureEvenDistributionOfPartitions`: the number divides the number of partitions.
    EvenDistribution(u32),
    /// `minReplicaCount`
    MinReplicas(u32),
    /// `activationLagThreshold`: the lag does not exceed it, so 0 members stay.
    NotActive(i64),
    /// Records wait, so one member stays.
    RecordsWait,
    /// One member stays until the group has been idle for the cooldown. How much is left.
    Cooldown(Duration),
}

/// The lag of a partition as the settings count it, and whether it is exact; `None` if it is not known.
pub(crate) fn lag_of(settings: &Settings, partition: &PartitionReading) -> Option<(i64, bool)> {
    match partition.waiting {
        Waiting::Exactly(records) => Some((records, true)),
        Waiting::AtLeast(records) => Some((records, false)),
        Waiting::NothingCommitted if settings.scale_to_zero_on_invalid_offset => Some((0, true)),
        Waiting::NothingCommitted | Waiting::Unknown(_) => None,
    }
}

impl Demand {
    /// The demand of a reading that the history has observed.
    pub(crate) fn of(settings: &Settings, reading: &Reading, history: &History) -> Self {
        let mut demand = Self {
            lag: 0,
            is_exact: true,
            signal: Signal::LagThreshold(settings.lag_threshold),
            ratio: 0.0,
            rounded: 0,
            limits: Vec::new(),
            wanted: 0,
            unknown: Vec::new(),
            excluded: Vec::new(),
        };
        let (mut all, mut with_lag) = (0_i64, 0_u32);
        for one in &reading.partitions {
            let Some((lag, is_exact)) = lag_of(settings, one) else {
                demand.unknown.push((one.name(), one.waiting.clone()));
                continue;
            };
            all = all.saturating_add(lag);
            demand.is_exact &= is_exact;
            if lag > 0 && makes_no_progress(settings, reading, history, one) {
                demand.excluded.push(one.name());
                continue;
            }
            demand.lag = demand.lag.saturating_add(lag);
            with_lag += u32::from(lag > 0);
        }
        demand.apply_formula(settings, reading, history);
        demand.apply_caps(settings, reading, with_lag);
        demand.apply_floors(settings, reading, history, all);
        demand
    }

    fn apply_formula(&mut self, settings: &Settings, reading: &Reading, history: &History) {
        let lag = self.lag as f64;
        (self.signal, self.ratio) = match (settings.target_drain, history.member_rate()) {
            (None, _) => {
                let threshold = settings.lag_threshold.max(1);
                (Signal::LagThreshold(threshold), lag / threshold as f64)
            }
            (Some(within), Some(member_rate)) if member_rate > 0.0 => {
                let written = history.rates().map_or(0.0, |rates| rates.written);
                let signal = Signal::Drain {
                    within,
                    written,
                    member_rate,
                };
                let needed = lag / within.as_secs_f64().max(1.0) + written;
                (signal, needed / member_rate)
            }
            (Some(within), _) => {
                let members = match self.lag {
                    0 => 0,
                    _ => reading.replicas.max(1),
                };
                (Signal::DrainNotMeasured { within }, f64::from(members))
            }
        };
        // `as` keeps a number that does not fit at the greatest one.
        self.rounded = self.ratio.ceil() as u32;
        self.wanted = self.rounded;
    }

    /// The caps come after rounding: otherwise 10.4 would pass a cap of 10 and become 11.
    fn apply_caps(&mut self, settings: &Settings, reading: &Reading, with_lag: u32) {
        let partitions = reading.useful_members();
        if settings.ensure_even_distribution_of_partitions && self.wanted > 0 {
            let even = even_number(self.wanted, partitions);
            self.limit(Limit::EvenDistribution(partitions), even);
        }
        if !settings.allow_idle_consumers {
            self.cap(Limit::Partitions(partitions), partitions);
        }
        if settings.limit_to_partitions_with_lag {
            self.cap(Limit::PartitionsWithLag(with_lag), with_lag);
        }
        self.cap(
            Limit::MaxReplicas(settings.max_replicas),
            settings.max_replicas,
        );
        self.cap(
            Limit::Instances(settings.most_instances),
            settings.most_instances,
        );
    }

    /// `all` is the lag with the partitions that do not count.
    fn apply_floors(
        &mut self,
        settings: &Settings,
        reading: &Reading,
        history: &History,
        all: i64,
    ) {
        let least = settings.min_replicas.min(settings.most_instances);
        if reading.replicas == 0 && all <= settings.activation_lag_threshold {
            if all > 0 {
                self.limit(Limit::NotActive(settings.activation_lag_threshold), 0);
            } else {
                self.wanted = 0;
            }
        } else if all > 0 {
            self.floor(Limit::RecordsWait, 1);
        } else if reading.replicas > 0 && least == 0 {
            match history.cooldown_left(settings, reading.at) {
                Some(Duration::ZERO) => {
                    self.limits.push((Limit::Cooldown(Duration::ZERO), 0));
                    self.wanted = 0;
                }
                left => {
                    let left = left.unwrap_or(settings.cooldown_period);
                    self.floor(Limit::Cooldown(left), 1);
                }
            }
        }
        self.floor(Limit::MinReplicas(least), least);
    }

    fn cap(&mut self, limit: Limit, most: u32) {
        self.limit(limit, self.wanted.min(most));
    }

    fn floor(&mut self, limit: Limit, least: u32) {
        self.limit(limit, self.wanted.max(least));
    }

    fn limit(&mut self, limit: Limit, number: u32) {
        if number != self.wanted {
            self.limits.push((limit, number));
            self.wanted = number;
        }
    }
}

/// Whether the group makes no progress on a partition, so that more members do not read it either. Without members no
/// partition makes progress.
fn makes_no_progress(
    settings: &Settings,
    reading: &Reading,
    history: &History,
    partition: &PartitionReading,
) -> bool {
    let is_persistent = settings.exclude_persistent_lag && history.is_unmoved(&partition.key());
    reading.replicas > 0 && (partition.is_stalled || is_persistent)
}

/// The smallest number of members that share the partitions evenly and are not fewer than `wanted`.
pub(crate) fn even_number(wanted: u32, partitions: u32) -> u32 {
    let even = (1..=partitions).filter(|members| partitions.is_multiple_of(*members));
    let enough = even.into_iter().find(|members| *members >= wanted);
    enough.unwrap_or(partitions)
}
