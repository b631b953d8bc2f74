//! What order-service counts. Labels are closed sets.

use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};

use crate::domain::{Ended, Status};

/// The metrics of the shop's door and of its orders. Clones are the same ones. What is counted in the database is absent while it
/// cannot be counted: an old figure would be taken for a new one.
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
        /// How a request for an order ended. A closed set: it becomes a label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Outcome {
            $($(#[$doc])* $name,)*
        }

        impl Outcome {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

outcomes! {
    /// A new order.
    Accepted = "accepted",
    /// The first answer again.
    Repeated = "repeated",
    /// A key used for two requests.
    KeyReused = "key_reused",
    /// Wrong fields, or no body to speak of.
    Invalid = "invalid",
    /// Too many were waiting.
    QueueFull = "queue_full",
    /// Too much was waiting to be told.
    OutboxFull = "outbox_full",
    /// The database was away.
    Unavailable = "unavailable",
}

impl Metrics {
    /// Registers the metrics, all counters at 0. Fails if the registry has them already.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &[]);
        // 0.5 ms to 4 s, doubling.
        let seconds = HistogramOpts::new(
            "order_accept_seconds",
            "Duration of the transaction that accepts a batch of orders.",
        )
        .buckets(exponential_buckets(0.000_5, 2.0, 14)?);
        let batch = HistogramOpts::new("order_accept_batch_requests", "Requests of a batch.")
            .buckets(exponential_buckets(1.0, 2.0, 10)?);
        // 5 ms to 41 s, doubling.
        let sagas = HistogramOpts::new(
            "saga_seconds",
            "From an order's acceptance to the fact that ended its saga; each saga counts once.",
        )
        .buckets(exponential_buckets(0.005, 2.0, 14)?);
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("order_requests_total", "Requests for an order, by outcome."),
                &["outcome"],
            )?,
            accept_seconds: Histogram::with_opts(seconds)?,
            accept_batch: Histogram::with_opts(batch)?,
            sagas: HistogramVec::new(sagas, &["outcome"])?,
            orders: IntGaugeVec::new(
                Opts::new("orders", "Orders by status, at most a second old."),
                &["status"],
            )?,
            orders_waiting: gauge(
                "orders_waiting_over_60s",
                "Orders whose saga has not ended and told nothing for a minute.",
            )?,
            orders_impossible: gauge(
                "orders_impossible",
                "Orders with facts that no saga can tell together.",
            )?,
            outbox_rows: gauge(
                "outbox_rows",
                "Events not published yet; counted up to OUTBOX_LIMIT.",
            )?,
            outbox_age: gauge(
                "outbox_oldest_seconds",
                "Age of the oldest event not published yet; 0 if there is none.",
            )?,
        };
        metrics.register(registry)?;
        for outcome in Outcome::ALL {
            metrics.requests.with_label_values(&[outcome.label()]);
        }
        for status in Status::ALL {
            if status.is_end() {
                metrics.outcome(status);
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

    pub(crate) fn request(&self, outcome: Outcome) {
        self.requests.with_label_values(&[outcome.label()]).inc();
    }

    /// A saga that ended.
    pub(crate) fn saga(&self, ended: Ended) {
        // A fact's clock may be behind that of the acceptance.
        let after = ended.after.to_std().unwrap_or_default();
        self.outcome(ended.status).observe(after.as_secs_f64());
    }

    fn outcome(&self, end: Status) -> Histogram {
        let outcome = end.name().to_lowercase();
        self.sagas.with_label_values(&[&outcome])
    }

    /// What was counted of all orders; `None` if nothing could be.
    pub(crate) fn orders(&self, counted: Option<Orders>) {
        match &counted {
            Some(orders) => {
                for (status, count) in orders.by_status {
                    self.orders.with_label_values(&[status.name()]).set(count);
                }
            }
            None => self.orders.reset(),
        }
        set(
            &self.orders_waiting,
            counted.as_ref().map(|orders| orders.waiting),
        );
        set(
            &self.orders_impossible,
            counted.as_ref().map(|orders| orders.impossible),
        );
    }

    /// Rows of the outbox and the age of the oldest in seconds; `None` if they could not be counted.
    pub(crate) fn outbox(&self, counted: Option<(i64, i64)>) {
        set(&self.outbox_rows, counted.map(|(rows, _)| rows));
        set(&self.outbox_age, counted.map(|(_, age)| age));
    }
}

/// All orders, counted.
pub(crate) struct Orders {
    pub(crate) by_status: [(Status, i64); Status::ALL.len()],
    /// Whose saga has not ended and told nothing for a minute.
    pub(crate) waiting: i64,
    /// With facts that no saga can tell together.
    pub(crate) impossible: i64,
}

fn set(gauge: &IntGaugeVec, value: Option<i64>) {
    match value {
        Some(value) => gauge.with_label_values::<&str>(&[]).set(value),
        None => gauge.reset(),
    }
}
