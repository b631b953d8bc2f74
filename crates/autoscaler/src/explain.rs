//! A decision as one line: reading, formula, limits, window, action.

use std::fmt;
use std::time::Duration;

use shared_events::autoscaler_api::AutoscalerReason;

use crate::decide::{Decision, Hold};
use crate::demand::{Demand, Limit, Signal};

impl fmt::Display for Decision {
    /// `lag 912 / 300 = 3.04 → 4, capped at 3 partitions → 3 (was 1): up`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (was {}): {}", self.demand, self.from, self.action())?;
        if let Some(hold) = &self.hold {
            write!(f, ", {hold}")?;
        }
        if let Some(keda) = &self.keda {
            write!(f, " · {keda}")?;
        }
        for advice in &self.advice {
            write!(f, " · {advice}")?;
        }
        Ok(())
    }
}

impl Decision {
    fn action(&self) -> String {
        match self.to.cmp(&self.from) {
            std::cmp::Ordering::Equal => format!("hold {}", self.to),
            std::cmp::Ordering::Greater if self.to == self.demand.wanted => "up".to_owned(),
            std::cmp::Ordering::Greater => format!("up to {}", self.to),
            std::cmp::Ordering::Less if self.to == self.demand.wanted => "down".to_owned(),
            std::cmp::Ordering::Less => format!("down to {}", self.to),
        }
    }

    /// What decided the number.
    pub fn reason(&self) -> AutoscalerReason {
        match &self.hold {
            Some(Hold::Unknown | Hold::FirstCommit | Hold::NotCounted) => AutoscalerReason::Unknown,
            Some(Hold::AfterStep { .. }) => AutoscalerReason::Step,
            Some(Hold::Stabilization { .. }) => AutoscalerReason::Window,
            None => self.demand.reason(),
        }
    }
}

impl Demand {
    /// The last limit that changed the number.
    fn reason(&self) -> AutoscalerReason {
        match self.limits.last() {
            None | Some((Limit::RecordsWait, _)) => AutoscalerReason::Lag,
            Some((Limit::Partitions(_), _)) => AutoscalerReason::Partitions,
            Some((Limit::PartitionsWithLag(_), _)) => AutoscalerReason::Partitions,
            Some((Limit::EvenDistribution(_), _)) => AutoscalerReason::Partitions,
            Some((Limit::MaxReplicas(_) | Limit::Instances(_), _)) => AutoscalerReason::Max,
            Some((Limit::MinReplicas(_) | Limit::NotActive(_), _)) => AutoscalerReason::Min,
            Some((Limit::Cooldown(_), _)) => AutoscalerReason::Cooldown,
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.unknown.is_empty() {
            write!(f, "lag unknown:")?;
            for (n, (partition, why)) in self.unknown.iter().enumerate() {
                let comma = if n == 0 { "" } else { "," };
                write!(f, "{comma} {partition} ({})", why.reason())?;
            }
            return Ok(());
        }
        let least = if self.is_exact { "" } else { "≥ " };
        let (lag, ratio, rounded) = (self.lag, number(self.ratio), self.rounded);
        match self.signal {
            Signal::LagThreshold(threshold) => {
                write!(f, "lag {least}{lag} / {threshold} = {ratio} → {rounded}")?;
            }
            Signal::Drain {
                within,
                written,
                member_rate,
            } => {
                let seconds = within.as_secs();
                write!(
                    f,
                    "lag {least}{lag}: ({lag}/{seconds} s + {written:.2}/s written) / {member_rate:.2}/s of a member = {ratio} → {rounded}"
                )?;
            }
            Signal::DrainNotMeasured { .. } => {
                write!(
                    f,
                    "lag {least}{lag}, no rate of a busy member measured yet → {rounded}"
                )?;
            }
        }
        for (limit, number) in &self.limits {
            write!(f, ", {limit} → {number}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partitions(1) => write!(f, "capped at 1 partition"),
            Self::Partitions(most) => write!(f, "capped at {most} partitions"),
            Self::PartitionsWithLag(most) => write!(f, "capped at {most} with lag"),
            Self::MaxReplicas(most) => write!(f, "capped at {most} replicas"),
            Self::Instances(most) => write!(f, "capped at {most} instances here"),
            Self::EvenDistribution(of) => write!(f, "shares {of} partitions evenly"),
            Self::MinReplicas(1) => write!(f, "at least 1 replica"),
            Self::MinReplicas(least) => write!(f, "at least {least} replicas"),
            Self::NotActive(lag) => write!(f, "not above the activation threshold {lag}"),
            Self::RecordsWait => write!(f, "records wait"),
            Self::Cooldown(Duration::ZERO) => write!(f, "cooldown passed"),
            Self::Cooldown(left) => write!(f, "cooldown, {} left", seconds(*left)),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "because the lag is not known"),
            Self::FirstCommit => write!(f, "because without a member nothing is ever committed"),
            Self::NotCounted => write!(f, "because the lag may be greater"),
            Self::AfterStep { since, state } => write!(
                f,
                "because the group ({state}) has not committed since the step {} ago",
                seconds(*since)
            ),
            Self::Stabilization { highest, left } => write!(
                f,
                "because {highest} were wanted within the stabilization window ({} left)",
                seconds(*left)
            ),
        }
    }
}

/// Two decimals, none for a whole number.
fn number(ratio: f64) -> String {
    match ratio.fract() == 0.0 {
        true => format!("{ratio:.0}"),
        false => format!("{ratio:.2}"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64().ceil())
}
