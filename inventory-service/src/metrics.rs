//! What inventory-service counts.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, exponential_buckets,
};

use crate::domain::{Decision, Outcome};

/// Decisions and the time they take.
#[derive(Clone)]
pub struct Metrics {
    reserved: IntCounter,
    out_of_stock: IntCounter,
    unknown_product: IntCounter,
    repeated: IntCounter,
    pub(crate) batch_seconds: Histogram,
}

impl Metrics {
    /// Registers the metrics, all at 0. Fails if the registry has them already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let decisions = IntCounterVec::new(
            Opts::new(
                "inventory_decisions_total",
                "Orders decided, by outcome; each order counts once",
            ),
            &["outcome"],
        )?;
        let repeated = IntCounter::new(
            "inventory_repeated_answers_total",
            "Records answered with a decision that was taken before",
        )?;
        let batch_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "inventory_batch_seconds",
                "Duration of the PostgreSQL transaction of one batch",
            )
            .buckets(exponential_buckets(0.0005, 2.0, 14)?),
        )?;
        registry.register(Box::new(decisions.clone()))?;
        registry.register(Box::new(repeated.clone()))?;
        registry.register(Box::new(batch_seconds.clone()))?;
        let counter = |outcome: Outcome| decisions.with_label_values(&[outcome.name()]);
        Ok(Self {
            reserved: counter(Outcome::Reserved),
            out_of_stock: counter(Outcome::OutOfStock),
            unknown_product: counter(Outcome::UnknownProduct),
            repeated,
            batch_seconds,
        })
    }

    /// Counts a batch: the answers given, and the decisions among them that are new.
    pub(crate) fn count(&self, answers: &[Decision], fresh: &[Decision]) {
        for decision in fresh {
            match decision.outcome {
                Outcome::Reserved => self.reserved.inc(),
                Outcome::OutOfStock => self.out_of_stock.inc(),
                Outcome::UnknownProduct => self.unknown_product.inc(),
            }
        }
        self.repeated.inc_by((answers.len() - fresh.len()) as u64);
    }
}
