//! Warm-up: the broker's JIT compiler needs half a minute of load before it has compiled the code
//! that is measured.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{SagaBench, throughput};
use stack::terminal::Progress;

/// A cold broker is five times slower for the first half minute.
const MIN_TIME: Duration = Duration::from_secs(30);

/// On a machine that runs other programs, the latency may never become stable.
const MAX_TIME: Duration = Duration::from_secs(120);

/// The latency is stable when the highest of the last three medians exceeds the lowest by at most
/// this share.
const SPREAD: f64 = 0.15;

/// The end of a warm-up.
#[derive(Debug, Clone, Copy)]
pub struct WarmupOutcome {
    pub elapsed: Duration,
    /// The median of POST→CONFIRMED in the last round, milliseconds.
    pub median_ms: f64,
    /// `false` if the time was over before the latency was stable.
    pub stable: bool,
}

/// Makes load until the latency is stable: for at least 30 s, and for at most 120 s and one round.
pub async fn warm_up(bench: &SagaBench) -> Result<WarmupOutcome> {
    let progress = Progress::new("warming up");
    let start = Instant::now();
    let mut medians = Vec::new();
    loop {
        let median_ms = throughput::warmup_round(bench).await?;
        medians.push(median_ms);
        let elapsed = start.elapsed();
        progress.say(format!(
            "warming up for {} s: the median order takes {median_ms:.1} ms",
            elapsed.as_secs()
        ));
        let stable = is_stable(&medians);
        if elapsed >= MIN_TIME && (stable || elapsed >= MAX_TIME) {
            return Ok(WarmupOutcome {
                elapsed,
                median_ms,
                stable,
            });
        }
    }
}

fn is_stable(medians: &[f64]) -> bool {
    let Some([a, b, c]) = medians.last_chunk() else {
        return false;
    };
    let (lowest, highest) = (a.min(*b).min(*c), a.max(*b).max(*c));
    highest <= lowest * (1.0 + SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_is_stable_after_three_similar_medians() {
        assert!(!is_stable(&[10.0, 10.0]));
        assert!(!is_stable(&[10.0, 10.0, 12.0]));
        assert!(is_stable(&[90.0, 10.0, 11.0, 10.5]));
    }
}
