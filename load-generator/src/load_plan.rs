//! When each order of a load is due.

use std::time::Duration;

use clap::ValueEnum;

/// A burst pauses after this many orders, and again after as many.
pub const PAUSE_EVERY: u64 = 100;

/// A load: how many orders, and when each is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum LoadPlan {
    /// As fast as the broker acknowledges, with a pause after every [`PAUSE_EVERY`] orders.
    Burst { count: u64, pause: Duration },
    /// Each batch is sent when the batch before it is acknowledged.
    Batches { size: u64, batches: u64 },
    /// An open loop: each order is sent at its scheduled time, whether earlier orders are
    /// acknowledged or not. Customers behave so.
    Open(RateSchedule),
}

/// When an order is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendWhen {
    Now,
    /// This long after the order before.
    AfterPause(Duration),
    /// When all earlier orders are acknowledged.
    AllAcknowledged,
    /// This long after the start of the load.
    Due(Duration),
}

/// Rates, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct RateSchedule(Vec<RateStage>);

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateStage {
    /// Orders per second.
    pub rate: u32,
    pub duration: Duration,
}

/// The shape of a load over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// One rate.
    Steady,
    /// A third of the time at the rate, a sixth at ten times the rate, half at the rate.
    Burst,
}

impl LoadPlan {
    /// The number of orders.
    pub fn count(&self) -> u64 {
        match self {
            Self::Burst { count, .. } => *count,
            Self::Batches { size, batches } => size * batches,
            Self::Open(schedule) => schedule.count(),
        }
    }

    /// When order `n` is sent, counted from 0.
    pub fn send_when(&self, n: u64) -> SendWhen {
        match self {
            Self::Burst { pause, .. }
                if n > 0 && n.is_multiple_of(PAUSE_EVERY) && !pause.is_zero() =>
            {
                SendWhen::AfterPause(*pause)
            }
            Self::Burst { .. } => SendWhen::Now,
            Self::Batches { size, .. } if n > 0 && n.is_multiple_of(*size) => {
                SendWhen::AllAcknowledged
            }
            Self::Batches { .. } => SendWhen::Now,
            Self::Open(schedule) => SendWhen::Due(schedule.due(n)),
        }
    }

    /// The scheduled duration of an open loop; the other loads take as long as the broker needs.
    pub fn duration(&self) -> Option<Duration> {
        match self {
            Self::Open(schedule) => Some(schedule.0.iter().map(|stage| stage.duration).sum()),
            Self::Burst { .. } | Self::Batches { .. } => None,
        }
    }
}

impl RateSchedule {
    pub fn steady(rate: u32, duration: Duration) -> Self {
        Self(vec![RateStage { rate, duration }])
    }

    /// A profile with this base rate and this total duration.
    pub fn from_profile(profile: Profile, rate: u32, duration: Duration) -> Self {
        match profile {
            Profile::Steady => Self::steady(rate, duration),
            Profile::Burst => Self(vec![
                RateStage {
                    rate,
                    duration: duration / 3,
                },
                RateStage {
                    rate: rate.saturating_mul(10),
                    duration: duration / 6,
                },
                RateStage {
                    rate,
                    duration: duration / 2,
                },
            ]),
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().map(RateStage::count).sum()
    }

    /// When order `n` is due, counted from the start of the load. Sleeping for one interval after
    /// each order would instead add up the delays of all sleeps.
    fn due(&self, n: u64) -> Duration {
        let (mut left, mut started) = (n, Duration::ZERO);
        for stage in &self.0 {
            if left < stage.count() {
                let nanoseconds = u128::from(left) * 1_000_000_000 / u128::from(stage.rate.max(1));
                return started
                    + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            }
            left -= stage.count();
            started += stage.duration;
        }
        started
    }
}

impl RateStage {
    fn count(&self) -> u64 {
        let orders = u128::from(self.rate) * self.duration.as_nanos() / 1_000_000_000;
        u64::try_from(orders).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_milliseconds(plan: &LoadPlan) -> Vec<u64> {
        let due = |n| match plan.send_when(n) {
            SendWhen::Due(due) => due.as_millis() as u64,
            other => panic!("{other:?}"),
        };
        (0..plan.count()).map(due).collect()
    }

    #[test]
    fn the_due_times_of_a_rate_are_even_and_do_not_drift() {
        let plan = LoadPlan::Open(RateSchedule::steady(3, Duration::from_secs(1_000_000)));
        assert_eq!(plan.count(), 3_000_000);
        assert_eq!(
            plan.send_when(1),
            SendWhen::Due(Duration::from_nanos(333_333_333))
        );
        assert_eq!(
            plan.send_when(2_999_997),
            SendWhen::Due(Duration::from_secs(999_999))
        );
    }

    #[test]
    fn a_burst_profile_has_ten_times_the_rate_in_its_middle() {
        let time = Duration::from_secs(6);
        let plan = LoadPlan::Open(RateSchedule::from_profile(Profile::Burst, 2, time));
        let mut expected = vec![0, 500, 1000, 1500];
        expected.extend((0..20).map(|n| 2000 + 50 * n));
        expected.extend([3000, 3500, 4000, 4500, 5000, 5500]);
        assert_eq!(due_milliseconds(&plan), expected);
        assert_eq!(plan.duration(), Some(time));
    }

    #[test]
    fn a_burst_pauses_after_100_orders_and_a_batch_waits_for_the_last() {
        let pause = Duration::from_millis(10);
        let burst = LoadPlan::Burst { count: 201, pause };
        let pauses: Vec<_> = (0..201)
            .filter(|n| burst.send_when(*n) == SendWhen::AfterPause(pause))
            .collect();
        assert_eq!(pauses, [100, 200]);
        let batches = LoadPlan::Batches {
            size: 4,
            batches: 3,
        };
        let waits: Vec<_> = (0..batches.count())
            .filter(|n| batches.send_when(*n) == SendWhen::AllAcknowledged)
            .collect();
        assert_eq!(waits, [4, 8]);
    }
}
