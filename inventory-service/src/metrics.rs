//! The metrics of inventory-service.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, exponential_buckets,
};

use crate::domain::{Decision, Outcome};

#[derive(Clone)]
pub struct Metrics {
    reserved: IntCounter,
    out_of_stock: IntCounter,
    unknown_product: IntCounter,
    repeated: IntCounter,
    pub(crate) batch_seconds: Histogram,
}

impl Metrics {
    /// Registers the metrics, all at 0. Fails if they are registered already.
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
            "Records whose order was decided before",
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

    /// Counts a batch: `all` its decisions, of which some are `new`.
    pub(crate) fn count(&self, all: &[Decision], new: &[Decision]) {
        for decision in new {
            match decision.outcome {
                Outcome::Reserved => self.reserved.inc(),
                Outcome::OutOfStock => self.out_of_stock.inc(),
                Outcome::UnknownProduct => self.unknown_product.inc(),
            }
        }
        self.repeated.inc_by((all.len() - new.len()) as u64);
    }
}
