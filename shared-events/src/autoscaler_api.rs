//! What the autoscaler reports to lag-monitor after each decision: the body of
//! `PUT /services/{service}/autoscaler`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The last decision about a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AutoscalerReport {
    /// The instances that the autoscaler scales to.
    pub desired: u32,
    /// The instances that there were.
    pub actual: u32,
    /// What decided the number.
    pub reason: AutoscalerReason,
    /// The decision in one line.
    pub explanation: String,
    /// The report is current for so many seconds. An autoscaler that has ended reports nothing.
    pub valid_seconds: u32,
}

/// What decided the number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoscalerReason {
    /// The lag alone.
    Lag,
    /// The number of partitions, or of those with lag.
    Partitions,
    /// The most instances.
    Max,
    /// The fewest instances.
    Min,
    /// The group has not been idle for long enough, or has.
    Cooldown,
    /// The lag is not known.
    Unknown,
    /// The group has not committed since the last step.
    Step,
    /// More instances were wanted a short time ago.
    Window,
}

impl AutoscalerReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Lag,
        Self::Partitions,
        Self::Max,
        Self::Min,
        Self::Cooldown,
        Self::Unknown,
        Self::Step,
        Self::Window,
    ];

    /// The name in JSON and in labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::Partitions => "partitions",
            Self::Max => "max",
            Self::Min => "min",
            Self::Cooldown => "cooldown",
            Self::Unknown => "unknown",
            Self::Step => "step",
            Self::Window => "window",
        }
    }
}

impl fmt::Display for AutoscalerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_reason_is_the_one_in_json() {
        for reason in AutoscalerReason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{reason}\""));
        }
    }
}
