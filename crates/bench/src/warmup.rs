//! Working temperature: a broker's compiler needs half a minute of load before it has made the code that will be measured.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Scene, throughput};
use stack::terminal::Progress;

/// Shortest time of load. A cold broker is five times slower for the first half minute.
const LEAST: Duration = Duration::from_secs(30);

/// Longest time of load: on a machine with other work the latency may never settle.
const MOST: Duration = Duration::from_secs(120);

/// Latency is stable when three looks in a row are within this share of the lowest of them.
const SPREAD: f64 = 0.15;

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub struct Warmed {
    /// How long it took.
    pub after: Duration,
    /// The last middle of POST→CONFIRMED, milliseconds.
    pub middle_ms: f64,
    /// Whether the latency became stable, or time was over.
    pub stable: bool,
}

/// Load until the latency is stable, but at least 30 s and at most 120 s (and a last round).
pub async fn warm(scene: &Scene) -> Result<Warmed> {
    let progress = Progress::new("warming up");
    let begun = Instant::now();
    let mut middles = Vec::new();
    loop {
        middles.push(throughput::mixed(scene).await?);
        let after = begun.elapsed();
        let middle_ms = middles.last().copied().unwrap_or_default();
        progress.say(format!(
            "warming up for {} s: the middle order takes {middle_ms:.1} ms",
            after.as_secs()
        ));
        let stable = is_stable(&middles);
        if after >= LEAST && (stable || after >= MOST) {
            return Ok(Warmed {
                after,
                middle_ms,
                stable,
            });
        }
    }
}

fn is_stable(middles: &[f64]) -> bool {
    let Some([a, b, c]) = middles.last_chunk() else {
        return false;
    };
    let (lowest, highest) = (a.min(*b).min(*c), a.max(*b).max(*c));
    highest <= lowest * (1.0 + SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_alike_are_stable_and_nothing_less_is() {
        assert!(!is_stable(&[10.0, 10.0]));
        assert!(!is_stable(&[10.0, 10.0, 12.0]));
        assert!(is_stable(&[90.0, 10.0, 11.0, 10.5]));
    }
}
