//! The metrics of order-service. Every label has a fixed set of values.

use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};
use shared_events::http_api::OrderStatus;

use crate::domain::SagaOutcome;

/// Clones share the metrics. A gauge that is counted in the database is absent while it cannot be
/// counted: an old value would be taken for a current one.
#[derive(Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    pub(crate) accept_seconds: Histogram,
    pub(crate) accept_batch: Histogram,
    sagas: HistogramVec,
    orders: IntGaugeVec,
    orders_waiting: IntGaugeVec,
    orders_impossible: IntGaugeVec,
    outbox_rows: IntGaugeVec,
    outbox_age: IntGaugeVec,
}

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// The outcome of a `POST /orders`: a label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum RequestOutcome {
            $($(#[$doc])* $name,)*
        }

        impl RequestOutcome {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

outcomes! {
    Accepted = "accepted",
    /// The idempotency key was used before, and the first answer was given again.
    Repeated = "repeated",
    /// The idempotency key was used before for another request.
    KeyReused = "key_reused",
    /// The body or a header was wrong.
    Invalid = "invalid",
    QueueFull = "queue_full",
    OutboxFull = "outbox_full",
    /// The database transaction failed.
    Unavailable = "unavailable",
}

impl Metrics {
    /// Registers the metrics, all counters at 0. Fails if they are registered already.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &[]);
        // 0.5 ms to 4 s, doubling.
        let seconds = HistogramOpts::new(
            "order_accept_seconds",
            "Duration of the transaction that accepts a batch of orders.",
        )
        .buckets(exponential_buckets(0.000_5, 2.0, 14)?);
        let batch = HistogramOpts::new(
            "order_accept_batch_requests",
            "Requests in one such transaction.",
        )
        .buckets(exponential_buckets(1.0, 2.0, 10)?);
        // 5 ms to 41 s, doubling.
        let sagas = HistogramOpts::new(
            "saga_seconds",
            "From OrderCreated to the fact that ended the saga; each saga counts once.",
        )
        .buckets(exponential_buckets(0.005, 2.0, 14)?);
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("order_requests_total", "POST /orders requests, by outcome."),
                &["outcome"],
            )?,
            accept_seconds: Histogram::with_opts(seconds)?,
            accept_batch: Histogram::with_opts(batch)?,
            sagas: HistogramVec::new(sagas, &["outcome"])?,
            orders: IntGaugeVec::new(
                Opts::new(
                    "orders",
                    "Orders by status, counted when scraped, at most once a second.",
                ),
                &["status"],
            )?,
            orders_waiting: gauge(
                "orders_waiting_over_60s",
                "Orders whose saga has not ended and had no event for a minute.",
            )?,
            orders_impossible: gauge(
                "orders_impossible",
                "Orders with facts that no saga can produce together.",
            )?,
            outbox_rows: gauge(
                "outbox_rows",
                "Events not yet published; counted up to OUTBOX_LIMIT.",
            )?,
            outbox_age: gauge(
                "outbox_oldest_seconds",
                "Age of the oldest event not yet published; 0 if there is none.",
            )?,
        };
        metrics.register(registry)?;
        for outcome in RequestOutcome::ALL {
            metrics.requests.with_label_values(&[outcome.label()]);
        }
        for status in OrderStatus::ALL {
            if status.is_final() {
                metrics.saga_seconds(status);
            }
        }
        Ok(metrics)
    }

    fn register(&self, registry: &Registry) -> Result<(), Error> {
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.accept_seconds.clone()))?;
        registry.register(Box::new(self.accept_batch.clone()))?;
        registry.register(Box::new(self.sagas.clone()))?;
        registry.register(Box::new(self.orders.clone()))?;
        for gauge in [
            &self.orders_waiting,
            &self.orders_impossible,
            &self.outbox_rows,
            &self.outbox_age,
        ] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(())
    }

    pub(crate) fn count_request(&self, outcome: RequestOutcome) {
        self.requests.with_label_values(&[outcome.label()]).inc();
    }

    pub(crate) fn count_saga(&self, outcome: SagaOutcome) {
        // A negative duration, of two clocks that differ, counts as 0.
        let duration = outcome.duration.to_std().unwrap_or_default();
        self.saga_seconds(outcome.status)
            .observe(duration.as_secs_f64());
    }

    fn saga_seconds(&self, status: OrderStatus) -> Histogram {
        let outcome = status.name().to_lowercase();
        self.sagas.with_label_values(&[&outcome])
    }

    /// `None` if the orders could not be counted.
    pub(crate) fn set_orders(&self, counted: Option<CountedOrders>) {
        match &counted {
            Some(orders) => {
                for (status, count) in orders.by_status {
                    self.orders.with_label_values(&[status.name()]).set(count);
                }
            }
            None => self.orders.reset(),
        }
        set_or_remove(
            &self.orders_waiting,
            counted.as_ref().map(|orders| orders.waiting),
        );
        set_or_remove(
            &self.orders_impossible,
            counted.as_ref().map(|orders| orders.impossible),
        );
    }

    /// Rows of the outbox and the age of the oldest row in seconds; `None` if they could not be
    /// counted.
    pub(crate) fn set_outbox(&self, counted: Option<(i64, i64)>) {
        set_or_remove(&self.outbox_rows, counted.map(|(rows, _)| rows));
        set_or_remove(&self.outbox_age, counted.map(|(_, age)| age));
    }
}

/// The result of counting all orders.
pub(crate) struct CountedOrders {
    pub(crate) by_status: [(OrderStatus, i64); OrderStatus::ALL.len()],
    /// Orders whose saga has not ended and had no event for a minute.
    pub(crate) waiting: i64,
    /// Orders with facts that no saga can produce together.
    pub(crate) impossible: i64,
}

fn set_or_remove(gauge: &IntGaugeVec, value: Option<i64>) {
    match value {
        Some(value) => gauge.with_label_values::<&str>(&[]).set(value),
        None => gauge.reset(),
    }
}
