//! When each order of a load is due.

use std::time::Duration;

use clap::ValueEnum;

/// A paused burst pauses after each this many orders.
pub const PAUSE_EVERY: u64 = 100;

/// A load: how many orders, and what has to be so before each.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// As fast as they are acknowledged, with a pause after each 100.
    Burst {
        /// Orders.
        count: u64,
        /// How long each pause is.
        pause: Duration,
    },
    /// Each batch as fast as may be, when the batch before is acknowledged.
    Batches {
        /// Orders of a batch.
        size: u64,
        /// How many batches.
        batches: u64,
    },
    /// At times fixed beforehand, whatever became of the orders before: an open loop, as customers are.
    Open(Schedule),
}

/// What has to be so before an order is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// This much time has passed since the order before.
    Pause(Duration),
    /// All orders before are acknowledged.
    Acknowledged,
    /// This much time has passed since the start.
    Due(Duration),
}

/// Rates, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(Vec<Stage>);

/// A rate that holds for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Orders a second.
    pub rate: u32,
    /// For how long.
    pub time: Duration,
}

/// A load with a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// One rate all the time.
    Steady,
    /// A third of the time at the rate, a sixth at ten times the rate, half at the rate again.
    Burst,
}

impl Plan {
    /// How many orders in all.
    pub fn count(&self) -> u64 {
        match self {
            Self::Burst { count, .. } => *count,
            Self::Batches { size, batches } => size * batches,
            Self::Open(schedule) => schedule.count(),
        }
    }

    /// What has to be so before order `n` is sent, counted from 0.
    pub fn before(&self, n: u64) -> Before {
        match self {
            Self::Burst { pause, .. }
                if n > 0 && n.is_multiple_of(PAUSE_EVERY) && !pause.is_zero() =>
            {
                Before::Pause(*pause)
            }
            Self::Burst { .. } => Before::Nothing,
            Self::Batches { size, .. } if n > 0 && n.is_multiple_of(*size) => Before::Acknowledged,
            Self::Batches { .. } => Before::Nothing,
            Self::Open(schedule) => Before::Due(schedule.due(n)),
        }
    }

    /// How long the load takes if nothing is in its way; nothing is known of what goes as fast as it may.
    pub fn time(&self) -> Option<Duration> {
        match self {
            Self::Open(schedule) => Some(schedule.0.iter().map(|stage| stage.time).sum()),
            Self::Burst { .. } | Self::Batches { .. } => None,
        }
    }
}

impl Schedule {
    /// One rate for some time.
    pub fn steady(rate: u32, time: Duration) -> Self {
        Self(vec![Stage { rate, time }])
    }

    /// A profile of this base rate that takes this time in all.
    pub fn of(profile: Profile, rate: u32, time: Duration) -> Self {
        match profile {
            Profile::Steady => Self::steady(rate, time),
            Profile::Burst => Self(vec![
                Stage {
                    rate,
                    time: time / 3,
                },
                Stage {
                    rate: rate.saturating_mul(10),
                    time: time / 6,
                },
                Stage {
                    rate,
                    time: time / 2,
                },
            ]),
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().map(Stage::count).sum()
    }

    /// When order `n` is due, since the start: never `n` naps of one over the rate, whose lateness would add up.
    fn due(&self, n: u64) -> Duration {
        let (mut left, mut begun) = (n, Duration::ZERO);
        for stage in &self.0 {
            if left < stage.count() {
                let nanoseconds = u128::from(left) * 1_000_000_000 / u128::from(stage.rate.max(1));
                return begun
                    + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            }
            left -= stage.count();
            begun += stage.time;
        }
        begun
    }
}

impl Stage {
    fn count(&self) -> u64 {
        let orders = u128::from(self.rate) * self.time.as_nanos() / 1_000_000_000;
        u64::try_from(orders).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(plan: &Plan) -> Vec<u64> {
        let due = |n| match plan.before(n) {
            Before::Due(due) => due.as_millis() as u64,
            other => panic!("{other:?}"),
        };
        (0..plan.count()).map(due).collect()
    }

    #[test]
    fn the_due_times_of_a_rate_are_evenly_spread_and_never_drift() {
        let plan = Plan::Open(Schedule::steady(3, Duration::from_secs(1_000_000)));
        assert_eq!(plan.count(), 3_000_000);
        assert_eq!(
            plan.before(1),
            Before::Due(Duration::from_nanos(333_333_333))
        );
        assert_eq!(
            plan.before(2_999_997),
            Before::Due(Duration::from_secs(999_999))
        );
    }

    #[test]
    fn a_burst_profile_has_ten_times_the_rate_in_its_middle() {
        let time = Duration::from_secs(6);
        let plan = Plan::Open(Schedule::of(Profile::Burst, 2, time));
        let mut expected = vec![0, 500, 1000, 1500];
        expected.extend((0..20).map(|n| 2000 + 50 * n));
        expected.extend([3000, 3500, 4000, 4500, 5000, 5500]);
        assert_eq!(dues(&plan), expected);
        assert_eq!(plan.time(), Some(time));
    }

    #[test]
    fn a_burst_pauses_after_each_hundred_and_a_batch_waits_for_the_one_before() {
        let pause = Duration::from_millis(10);
        let burst = Plan::Burst { count: 201, pause };
        let pauses: Vec<_> = (0..201)
            .filter(|n| burst.before(*n) == Before::Pause(pause))
            .collect();
        assert_eq!(pauses, [100, 200]);
        let batches = Plan::Batches {
            size: 4,
            batches: 3,
        };
        let waits: Vec<_> = (0..batches.count())
            .filter(|n| batches.before(*n) == Before::Acknowledged)
            .collect();
        assert_eq!(waits, [4, 8]);
    }
}
