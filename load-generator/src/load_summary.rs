//! The result of a load, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::delivery_stats::{DeliveryCounts, Percentiles};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadSummary {
    /// `kafka` or `http`.
    pub via: &'static str,
    /// The topic's name on the broker, or order-service's URL.
    pub to: String,
    /// `--seed` with this number makes the same orders.
    pub seed: u64,
    /// Orders of the plan.
    #[serde(rename = "asked")]
    pub planned: u64,
    /// Orders acknowledged.
    pub acknowledged: u64,
    /// Orders that were sent and not acknowledged.
    pub failed: u64,
    /// Orders that were not sent, because an earlier one had failed or the load was interrupted.
    pub not_sent: u64,
    /// Whether Ctrl-C or SIGTERM stopped the load.
    pub interrupted: bool,
    /// The reason of the first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<String>,
    /// Seconds from the start until the last acknowledgement.
    pub seconds: f64,
    /// Orders acknowledged per second, in this time.
    pub per_second: f64,
    /// From when an order was due until it was acknowledged; null if none was.
    pub latency_ms: Option<Percentiles>,
    /// Orders acknowledged by each partition; absent over HTTP.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub partitions: BTreeMap<i32, u64>,
}

/// What is known of a load at its start.
#[derive(Debug, Clone)]
pub struct LoadInfo {
    /// `kafka` or `http`.
    pub via: &'static str,
    /// The topic's name on the broker, or order-service's URL.
    pub to: String,
    pub seed: u64,
    /// Orders of the plan.
    pub planned: u64,
    pub started: Instant,
}

impl LoadSummary {
    /// The summary of a load that has ended. `sent` orders were sent; those without an
    /// acknowledgement have failed.
    pub fn new(info: LoadInfo, sent: u64, counts: DeliveryCounts, interrupted: bool) -> Self {
        let time = counts.last.map(|last| last - info.started);
        let seconds = time.unwrap_or_default().as_secs_f64();
        let per_second = match seconds > 0.0 {
            true => counts.acknowledged as f64 / seconds,
            false => 0.0,
        };
        Self {
            via: info.via,
            to: info.to,
            seed: info.seed,
            planned: info.planned,
            acknowledged: counts.acknowledged,
            failed: sent.saturating_sub(counts.acknowledged),
            not_sent: info.planned.saturating_sub(sent),
            interrupted,
            latency_ms: counts.percentiles(),
            first_failure: counts.first_failure,
            seconds,
            per_second,
            partitions: counts.by_partition,
        }
    }

    /// 0 if all orders are acknowledged; else 130 (the shell's code for SIGINT) if the load was
    /// interrupted, and 1 if not.
    pub fn exit_code(&self) -> u8 {
        match (self.acknowledged == self.planned, self.interrupted) {
            (true, _) => 0,
            (false, true) => 130,
            (false, false) => 1,
        }
    }
}

impl fmt::Display for LoadSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of {} {} acknowledged by {} in {:.3} s: {:.0} a second; {} failed, {} not sent{}",
            self.acknowledged,
            self.planned,
            if self.planned == 1 { "order" } else { "orders" },
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
        if let Some(reason) = &self.first_failure {
            writeln!(f, "first failure: {reason}")?;
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
    use crate::delivery_stats::DeliveryStats;

    fn summary(planned: u64, sent: u64, acknowledged: u64, interrupted: bool) -> LoadSummary {
        let (stats, started) = (DeliveryStats::default(), Instant::now());
        for _ in 0..acknowledged {
            stats.add_acknowledged(Instant::now(), Duration::from_millis(1), Some(1));
        }
        let info = LoadInfo {
            via: "kafka",
            to: "orders".to_owned(),
            seed: 7,
            planned,
            started,
        };
        LoadSummary::new(info, sent, stats.counts(), interrupted)
    }

    #[test]
    fn only_a_load_with_all_orders_acknowledged_exits_with_0() {
        assert_eq!(summary(3, 3, 3, false).exit_code(), 0);
        assert_eq!(summary(3, 3, 3, true).exit_code(), 0);
        assert_eq!(summary(3, 3, 2, false).exit_code(), 1);
        assert_eq!(summary(3, 2, 2, false).exit_code(), 1);
        assert_eq!(summary(3, 2, 2, true).exit_code(), 130);
    }

    #[test]
    fn one_order_is_no_plural() {
        let text = summary(1, 1, 1, false).to_string();
        assert!(text.starts_with("1 of 1 order acknowledged by"), "{text}");
    }

    #[test]
    fn an_order_without_an_answer_failed_but_an_unsent_one_did_not() {
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
