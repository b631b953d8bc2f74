//! The number of replicas that KEDA's Kafka scaler and Kubernetes' autoscaler would ask for, and why it is another one.
//!
//! KEDA sums `end - committed` over the partitions, and compares `sum / lagThreshold`, rounded down, with the number of
//! partitions. The autoscaler divides the sum by the threshold and rounds up, unless the quotient is within 10 % of the present
//! number.

use std::fmt;

use crate::demand::Demand;
use crate::history::History;
use crate::reading::{PartitionReading, Reading, Waiting};
use crate::settings::{OffsetResetPolicy, Settings};

/// The tolerance of Kubernetes' HorizontalPodAutoscaler.
const TOLERANCE: f64 = 0.1;

/// KEDA's number, if it is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KedaDemand {
    /// The number, before its windows.
    pub replicas: u32,
    /// Why it differs.
    pub reasons: Vec<KedaReason>,
}

/// Why KEDA's number differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KedaReason {
    /// It counts a partition without a committed offset as so many records.
    NoCommit(i64),
    /// It counts so many offsets more: markers, aborted and deleted records, records of open transactions.
    Offsets(i64),
    /// It caps before it rounds, so that 3.04 passes a cap of 3.
    RoundsAfterCap,
    /// It changes nothing within 10 %.
    Tolerance,
    /// It counts the partitions on which the group makes no progress.
    Blocked,
    /// It has no target for draining.
    NoDrainTarget,
    /// It knows no limit of instances other than `maxReplicaCount`.
    NoInstanceLimit,
}

impl KedaDemand {
    /// `None` if KEDA asks for the number that the lag asks for here. Its windows are not compared.
    pub(crate) fn unless_equal(
        settings: &Settings,
        reading: &Reading,
        history: &History,
        demand: &Demand,
    ) -> Option<Self> {
        let mut reasons = Vec::new();
        let (mut sum, mut with_persistent, mut with_lag) = (0_i64, 0_i64, 0_i64);
        let (mut offsets, mut no_commit, mut counts_blocked) = (0_i64, 0_i64, false);
        for one in &reading.partitions {
            let lag = keda_lag(settings, one);
            with_persistent = with_persistent.saturating_add(lag);
            if settings.exclude_persistent_lag && history.is_unmoved(&one.key()) {
                continue;
            }
            sum = sum.saturating_add(lag);
            with_lag += i64::from(lag > 0);
            counts_blocked |= demand.excluded.contains(&one.name());
            match one.waiting.at_least() {
                Some(ours) if one.committed.is_some() => offsets += (lag - ours).max(0),
                _ => no_commit += lag,
            }
        }
        let add = [
            (no_commit > 0, KedaReason::NoCommit(no_commit)),
            (offsets > 0, KedaReason::Offsets(offsets)),
            (counts_blocked, KedaReason::Blocked),
            (settings.target_drain.is_some(), KedaReason::NoDrainTarget),
        ];
        reasons.extend(
            add.into_iter()
                .filter_map(|(is, reason)| is.then_some(reason)),
        );
        let capped = capped(settings, reading, sum, with_lag);
        let replicas = match with_persistent > settings.activation_lag_threshold {
            true => autoscaler_number(settings, reading, capped, &mut reasons),
            false => settings.min_replicas,
        };
        if replicas > settings.most_instances {
            reasons.push(KedaReason::NoInstanceLimit);
        }
        // Both keep the last member for their cooldown.
        let is_idle = demand.lag == 0 && with_persistent == 0 && demand.unknown.is_empty();
        (replicas != demand.wanted && !is_idle && !reasons.is_empty())
            .then_some(Self { replicas, reasons })
    }
}

/// The end of the log minus the committed offset.
fn keda_lag(settings: &Settings, partition: &PartitionReading) -> i64 {
    let end = partition.end.unwrap_or(0);
    match (partition.committed, settings.offset_reset_policy) {
        (Some(committed), _) => (end - committed).max(0),
        (None, _) if settings.scale_to_zero_on_invalid_offset => 0,
        (None, OffsetResetPolicy::Latest) => 1,
        (None, OffsetResetPolicy::Earliest) => end,
    }
}

/// The sum after KEDA's cap. Its quotient is rounded down here.
fn capped(settings: &Settings, reading: &Reading, sum: i64, with_lag: i64) -> i64 {
    let (threshold, partitions) = (settings.lag_threshold.max(1), reading.partitions.len());
    let mut most = i64::try_from(partitions).unwrap_or(i64::MAX);
    let mut sum = sum;
    if settings.ensure_even_distribution_of_partitions {
        let mut even = (1..=most).filter(|members| most % members == 0);
        let even = even.find(|members| members.saturating_mul(threshold) >= sum);
        sum = even.unwrap_or(most).saturating_mul(threshold);
    }
    if settings.limit_to_partitions_with_lag {
        most = with_lag;
    }
    match !settings.allow_idle_consumers && sum / threshold > most {
        true => most.saturating_mul(threshold),
        false => sum,
    }
}

/// What Kubernetes' autoscaler makes of the sum.
fn autoscaler_number(
    settings: &Settings,
    reading: &Reading,
    sum: i64,
    reasons: &mut Vec<KedaReason>,
) -> u32 {
    let ratio = sum as f64 / settings.lag_threshold.max(1) as f64;
    let number = ratio.ceil() as u32;
    let now = reading.replicas;
    if now > 0 && number != now && (ratio / f64::from(now) - 1.0).abs() <= TOLERANCE {
        reasons.push(KedaReason::Tolerance);
        return now;
    }
    if !settings.allow_idle_consumers && number > reading.useful_members() {
        reasons.push(KedaReason::RoundsAfterCap);
    }
    let least = settings.min_replicas.max(1);
    number.max(least).min(settings.max_replicas.max(least))
}

impl fmt::Display for KedaDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KEDA: {}", self.replicas)?;
        for (n, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if n == 0 { ", as it " } else { " and " })?;
        }
        Ok(())
    }
}

impl fmt::Display for KedaReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommit(lag) => write!(f, "counts partitions without a commit as {lag}"),
            Self::Offsets(more) => write!(f, "counts {more} more offsets than records"),
            Self::RoundsAfterCap => write!(f, "rounds up after its cap"),
            Self::Tolerance => write!(f, "changes nothing within 10 %"),
            Self::Blocked => write!(f, "counts blocked partitions"),
            Self::NoDrainTarget => write!(f, "divides by lagThreshold"),
            Self::NoInstanceLimit => {
                write!(f, "knows only maxReplicaCount as a limit of instances")
            }
        }
    }
}

impl Waiting {
    /// In words, for a decision.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Exactly(_) | Self::AtLeast(_) => "known",
            Self::NothingCommitted => "nothing committed",
            Self::Unknown(reason) => reason,
        }
    }
}
