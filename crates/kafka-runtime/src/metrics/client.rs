//! What librdkafka's statistics say of a client's requests and batches (`STATISTICS.md`): one document every
//! `statistics.interval.ms`, which is made and read in any case, since it also tells whether a broker is reached.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, GaugeVec, IntCounter, Opts, Registry};
use rdkafka::statistics::{Statistics, Window};

/// What is told of is what the statistics said within this time of the last of them: a client that tells every 5 s is told of
/// by its last words, one that tells five times a second by all those of 5 s.
const OVER: Duration = Duration::from_millis(4_500);

/// A client that has said nothing for this long, three of its intervals, is gone or stands still.
const GONE: Duration = Duration::from_secs(15);

/// Most windows that are kept: those of 5 s of a client that tells five times a second, of two brokers.
const MOST: usize = 64;

/// Which client of a process: the label `client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// A member's consumer.
    Consumer,
    /// A member's producer, or that of a load.
    Producer,
    /// The producer of the outbox.
    Relay,
}

impl Counted {
    fn label(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Producer => "producer",
            Self::Relay => "relay",
        }
    }
}

/// The figures of one client, and of those that take its place. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct ClientMetrics {
    totals: Arc<Mutex<Totals>>,
    request_seconds: Quantiles,
    /// Of batches sent. librdkafka tells the same of those that a consumer was given, whoever made them.
    batches: Option<Batches>,
}

#[derive(Clone)]
struct Batches {
    records: Quantiles,
    bytes: Quantiles,
}

impl ClientMetrics {
    /// Registers them. Fails if the registry has a client of this kind already.
    pub(crate) fn new(registry: &Registry, client: Counted) -> Result<Self, Error> {
        let opts = |name, help| Opts::new(name, help).const_label("client", client.label());
        let counter = |name, help| {
            let counter = IntCounter::with_opts(opts(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let quantiles = |name, help, unit| {
            let gauges = GaugeVec::new(opts(name, help), &["quantile"])?;
            let quantiles = Quantiles {
                gauges,
                unit,
                recent: Arc::default(),
            };
            registry.register(Box::new(quantiles.clone()))?;
            Ok::<_, Error>(quantiles)
        };
        let sent_bytes = counter("kafka_client_sent_bytes_total", "Bytes sent to brokers.")?;
        let received_bytes = counter(
            "kafka_client_received_bytes_total",
            "Bytes received from brokers.",
        )?;
        let sent_requests = counter(
            "kafka_client_sent_requests_total",
            "Requests sent to brokers.",
        )?;
        Ok(Self {
            totals: Arc::new(Mutex::new(Totals {
                client: String::new(),
                of: [sent_bytes, received_bytes, sent_requests].map(|counter| (counter, 0)),
            })),
            // librdkafka's histogram ends at half a second (`rkb_avg_rtt`), in microseconds.
            request_seconds: quantiles(
                "kafka_client_request_seconds",
                "Round trips of requests to brokers over the last 5 s, up to 0.5 s; a fetch waits at the broker for data.",
                1e-6,
            )?,
            batches: match client {
                Counted::Consumer => None,
                Counted::Producer | Counted::Relay => Some(Batches {
                    records: quantiles(
                        "kafka_producer_batch_records",
                        "Records of a batch sent, over the last 5 s.",
                        1.0,
                    )?,
                    bytes: quantiles(
                        "kafka_producer_batch_bytes",
                        "Bytes of a batch sent, over the last 5 s.",
                        1.0,
                    )?,
                }),
            },
        })
    }

    /// Takes in a document.
    pub(crate) fn take(&self, said: &Statistics) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.grow(&said.name, [said.tx_bytes, said.rx_bytes, said.tx]);
        // Connections to what a broker is besides ("GroupCoordinator") carry heartbeats and commits, not the records.
        let brokers = said.brokers.values();
        let brokers = brokers.filter(|broker| broker.nodeid >= 0 && broker.source != "logical");
        self.request_seconds
            .take(brokers.filter_map(|broker| broker.rtt.as_ref()));
        if let Some(Batches { records, bytes }) = &self.batches {
            let topics = said.topics.values();
            records.take(topics.clone().map(|topic| &topic.batchcnt));
            bytes.take(topics.map(|topic| &topic.batchsize));
        }
    }
}

/// What only grows. A producer that takes another's place counts from 0 again, and its first document holds all it did: what
/// its predecessor did after its own last one, 5 s at most, is not counted.
struct Totals {
    client: String,
    of: [(IntCounter, u64); 3],
}

impl Totals {
    fn grow(&mut self, client: &str, now: [i64; 3]) {
        if self.client != client {
            client.clone_into(&mut self.client);
            self.of.iter_mut().for_each(|(_, before)| *before = 0);
        }
        for ((counter, before), now) in self.of.iter_mut().zip(now) {
            let now = u64::try_from(now).unwrap_or(0);
            // Less than before: a broker was removed, and with it what it was sent.
            counter.inc_by(now.saturating_sub(*before));
            *before = now;
        }
    }
}

/// A window's quantiles, by how much was measured.
struct Seen {
    at: Instant,
    count: f64,
    values: [f64; 3],
}

const QUANTILES: [&str; 3] = ["0.5", "0.95", "0.99"];

/// The quantiles of what was measured lately; where nothing was, there are none. Exact where one window tells of it, as of one
/// broker every 5 s; of several the mean, weighted by how much each measured.
#[derive(Clone)]
struct Quantiles {
    gauges: GaugeVec,
    unit: f64,
    recent: Arc<Mutex<VecDeque<Seen>>>,
}

impl Quantiles {
    fn take<'w>(&self, windows: impl Iterator<Item = &'w Window>) {
        let at = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|seen| at.duration_since(seen.at) < OVER);
        let measured = windows.filter(|window| window.cnt > 0);
        recent.extend(measured.map(|window| Seen {
            at,
            count: window.cnt as f64,
            values: [window.p50, window.p95, window.p99].map(|value| value as f64),
        }));
        let surplus = recent.len().saturating_sub(MOST);
        recent.drain(..surplus);
    }

    fn show(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|seen| seen.at.elapsed() < GONE);
        let count: f64 = recent.iter().map(|seen| seen.count).sum();
        if count == 0.0 {
            return self.gauges.reset();
        }
        for (n, quantile) in QUANTILES.iter().enumerate() {
            let value = |seen: &Seen| seen.values.get(n).map_or(0.0, |value| value * seen.count);
            let sum: f64 = recent.iter().map(value).sum();
            let gauge = self.gauges.with_label_values(&[quantile]);
            gauge.set(sum / count * self.unit);
        }
    }
}

impl Collector for Quantiles {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.show();
        self.gauges.collect()
    }
}

#[cfg(test)]
mod tests;
