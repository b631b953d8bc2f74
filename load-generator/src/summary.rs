//! What a load came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::tally::{Counts, Percentiles};

/// What a load came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// `kafka` or `http`.
    pub via: &'static str,
    /// The name of the topic on the broker, or the URL of the shop.
    pub to: String,
    /// The seed that makes the same orders again.
    pub seed: u64,
    /// Orders asked for.
    pub asked: u64,
    /// Orders acknowledged.
    pub acknowledged: u64,
    /// Orders that were sent and not acknowledged.
    pub failed: u64,
    /// Orders that were not sent, since an earlier one had failed or somebody interrupted.
    pub not_sent: u64,
    /// Whether somebody interrupted.
    pub interrupted: bool,
    /// Why the first failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<String>,
    /// Seconds from the start until the last acknowledgement.
    pub seconds: f64,
    /// Orders acknowledged a second, in this time.
    pub per_second: f64,
    /// From when an order was due until it was acknowledged, milliseconds; nothing if none was.
    pub latency_ms: Option<Percentiles>,
    /// Orders acknowledged by each partition; nothing over HTTP.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub partitions: BTreeMap<i32, u64>,
}

/// What a summary says about the load itself.
#[derive(Debug, Clone)]
pub struct About {
    /// `kafka` or `http`.
    pub via: &'static str,
    /// Where to.
    pub to: String,
    /// The seed.
    pub seed: u64,
    /// Orders asked for.
    pub asked: u64,
    /// When it began.
    pub begun: Instant,
}

impl Summary {
    /// Of a load that has ended: how many orders were sent, and what is known of them. What has no answer has failed.
    pub fn new(about: About, sent: u64, counts: Counts, interrupted: bool) -> Self {
        let time = counts.last.map(|last| last - about.begun);
        let seconds = time.unwrap_or_default().as_secs_f64();
        let per_second = match seconds > 0.0 {
            true => counts.acknowledged as f64 / seconds,
            false => 0.0,
        };
        Self {
            via: about.via,
            to: about.to,
            seed: about.seed,
            asked: about.asked,
            acknowledged: counts.acknowledged,
            failed: sent.saturating_sub(counts.acknowledged),
            not_sent: about.asked.saturating_sub(sent),
            interrupted,
            latency_ms: counts.percentiles(),
            first_failure: counts.first_failure,
            seconds,
            per_second,
            partitions: counts.by_partition,
        }
    }

    /// 0 if all are acknowledged; else 130 if somebody interrupted, as a shell would say, and 1 if not.
    pub fn exit_code(&self) -> u8 {
        match (self.acknowledged == self.asked, self.interrupted) {
            (true, _) => 0,
            (false, true) => 130,
            (false, false) => 1,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of {} orders acknowledged by {} in {:.3} s: {:.0} a second; {} failed, {} not sent{}",
            self.acknowledged,
            self.asked,
            self.to,
            self.seconds,
            self.per_second,
            self.failed,
            self.not_sent,
            if self.interrupted {
                " (interrupted)"
            } else {
                ""
            }
        )?;
        if let Some(why) = &self.first_failure {
            writeln!(f, "first failure: {why}")?;
        }
        if let Some(latency) = &self.latency_ms {
            writeln!(
                f,
                "latency in ms: p50 {:.1} · p90 {:.1} · p99 {:.1} · p99.9 {:.1} · max {:.1}",
                latency.p50, latency.p90, latency.p99, latency.p999, latency.max
            )?;
        }
        if !self.partitions.is_empty() {
            let each = self.partitions.iter();
            let each: Vec<_> = each
                .map(|(number, count)| format!("{number}: {count}"))
                .collect();
            writeln!(f, "orders by partition: {}", each.join(" · "))?;
        }
        write!(f, "the same orders again: --seed {}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tally::Tally;

    fn summary(asked: u64, sent: u64, acknowledged: u64, interrupted: bool) -> Summary {
        let (tally, begun) = (Tally::default(), Instant::now());
        for _ in 0..acknowledged {
            tally.acknowledged(Instant::now(), Duration::from_millis(1), Some(1));
        }
        let about = About {
            via: "kafka",
            to: "orders".to_owned(),
            seed: 7,
            asked,
            begun,
        };
        Summary::new(about, sent, tally.counts(), interrupted)
    }

    #[test]
    fn only_a_load_of_which_all_is_acknowledged_ends_with_0() {
        assert_eq!(summary(3, 3, 3, false).exit_code(), 0);
        assert_eq!(summary(3, 3, 3, true).exit_code(), 0);
        assert_eq!(summary(3, 3, 2, false).exit_code(), 1);
        assert_eq!(summary(3, 2, 2, false).exit_code(), 1);
        assert_eq!(summary(3, 2, 2, true).exit_code(), 130);
    }

    #[test]
    fn an_order_without_an_answer_has_failed_and_one_that_was_not_sent_has_not() {
        let summary = summary(10, 5, 3, true);
        assert_eq!((summary.failed, summary.not_sent), (2, 5));
        let text = summary.to_string();
        for part in [
            "3 of 10",
            "2 failed, 5 not sent",
            "interrupted",
            "1: 3",
            "--seed 7",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
