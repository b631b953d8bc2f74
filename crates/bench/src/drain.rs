//! How fast inventory-service takes what waits for it.
//!
//! Every other service stands still, and the members have joined and own their partitions before the clock runs: a rebalance is
//! no part of the figure. While they are paused, payments for `prod_burst` are told; then all resume at once. Measured is from
//! the first committed offset that moves until all are committed, so what a start costs is no part of it either.
//!
//! Beside each stands what a plain consumer takes of the same records: it reads them in the same run, alone and without a group,
//! and does nothing with them.
//!
//! How much waits is looked at twenty times a second, and therefore by offsets alone: the end less what is committed. That is the
//! lag of `cluster-reader` as long as nobody writes in transactions, and who does stands still. Its poll would look into the
//! records, too, and take from the two processors what is measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use kafka_admin::BrokerHealth;
use kafka_admin::Cluster;
use kafka_admin::bulk_producer::{
    Acks, BulkProducer, BulkRecord, BulkSettings, Compression, DeliveryReport,
};
use kafka_admin::offsets::UncommittedOffsets;
use kafka_admin::read_benchmark::OffsetRanges;
use kafka_admin::{Criticality, KafkaSettings};
use serde_json::json;
use service_kit::Readiness;
use shared_events::{
    Amount, CorrelationId, Envelope, OrderId, PaymentId, PaymentSucceeded, ProductId, Quantity,
    Service, Topic, TraceParent,
};
use tokio::time::sleep;

use super::figures::Figures;
use super::usage::{self, Sample};
use stack::Stack;
use stack::layout::{Instance, StackLayout};

/// Fewer events than this a plain consumer takes at one go: of them it has no figure.
pub const FEW: u64 = 10_000;

/// Payments by which every partition surely gets some.
const FIRST: u64 = 300;

/// Between two looks at what is committed. More of them would be a load on the broker of their own.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long nothing may be committed while something waits.
const SILENCE: Duration = Duration::from_secs(60);

/// How long telling the payments may take.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// A way to drain.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// `DELIVERY`.
    pub delivery: &'static str,
    /// Most records of a batch.
    pub batch_max: u32,
    /// Events that wait.
    pub events: u64,
}

/// Who drains.
pub struct Scene<'s> {
    layout: &'s StackLayout,
    cluster: Cluster,
    topic: String,
    group: String,
    http: reqwest::Client,
}

/// How it went.
struct Drained {
    /// Events committed from the first look at which some were.
    events: u64,
    /// How long that took.
    time: Duration,
}

impl<'s> Scene<'s> {
    /// The topic and the group of this stack.
    pub fn open(layout: &'s StackLayout) -> Result<Self> {
        let cluster = Cluster::new(&layout.kafka())?;
        let prefix = cluster.prefix();
        Ok(Self {
            topic: prefix.topic(Topic::Payments),
            group: prefix.group(Service::Inventory),
            http: Stack::open(layout)?.http,
            layout,
            cluster,
        })
    }

    /// Has the members take a few payments, so that the group has committed something for each partition: only then is there a
    /// lag to measure.
    pub async fn prime(&self) -> Result<()> {
        let kafka = self.layout.kafka();
        let told = tokio::task::spawn_blocking(move || tell(&kafka, FIRST));
        told.await.context("telling the payments broke off")??;
        self.at_rest().await
    }

    /// One drain in this way, by these members, and of as many records as [`FEW`] what a plain consumer takes of them.
    pub async fn measure(
        &self,
        way: Way,
        members: &[Instance],
        figures: &mut Figures,
    ) -> Result<()> {
        let count = members.len();
        let name = |what: &str| {
            let (delivery, events) = (way.delivery, way.events);
            let mode = match way.batch_max {
                1 => "each message".to_owned(),
                batch => format!("batches of {batch}"),
            };
            format!(
                "{mode}, {events} events, {delivery}, {count} member{}: {what}",
                if count == 1 { "" } else { "s" }
            )
        };
        self.at_rest().await?;
        let change = json!({"batch_max": way.batch_max, "processing_time_ms": 0, "paused": true});
        self.tell_members(members, "/config", Some(change)).await?;
        let ranges = self.fill(way.events).await?;
        let stack = Stack::open(self.layout)?;
        let before = Sample::take(&stack)?;
        self.tell_members(members, "/resume", None).await?;
        let drained = self.drain(way.events).await?;
        let used = Sample::take(&stack)?.since(&before);
        let rate = drained.events as f64 / drained.time.as_secs_f64();
        figures.add(name("drained"), "events/s", rate);
        if count > 1 {
            figures.add(name("drained, for each"), "events/s", rate / count as f64);
        }
        for (who, seconds) in by_service(&used) {
            let each = 1e6 * seconds / way.events as f64;
            figures.add(name(&format!("processor time an event: {who}")), "µs", each);
        }
        if way.events >= FEW {
            let limit = self.limit(way.events, &ranges).await?;
            figures.add(name("a plain consumer takes"), "events/s", limit);
            figures.add(name("a plain consumer is faster"), "times", limit / rate);
        }
        Ok(())
    }

    /// What a plain consumer takes a second of these records.
    async fn limit(&self, events: u64, ranges: &OffsetRanges) -> Result<f64> {
        let (read, time) = self.cluster.benchmark_read(&self.topic, ranges).await?;
        if read != events {
            bail!("{read} of {events} payments were read: this is no figure but a fault");
        }
        Ok(read as f64 / time.as_secs_f64())
    }

    async fn uncommitted(&self) -> Result<UncommittedOffsets> {
        let topics = std::slice::from_ref(&self.topic);
        Ok(self
            .cluster
            .uncommitted_offsets(&self.group, topics)
            .await?)
    }

    async fn at_rest(&self) -> Result<()> {
        self.watch(|uncommitted| uncommitted.is_empty())
            .await
            .map(drop)
    }

    /// Looks until this is so. What is committed has to change now and then.
    async fn watch(
        &self,
        done: impl Fn(&UncommittedOffsets) -> bool,
    ) -> Result<UncommittedOffsets> {
        let (mut news, mut last) = (Instant::now(), None);
        loop {
            let uncommitted = self.uncommitted().await?;
            if done(&uncommitted) {
                return Ok(uncommitted);
            }
            let known = Some(uncommitted.count());
            if known != last {
                (news, last) = (Instant::now(), known);
            }
            if news.elapsed() > SILENCE {
                bail!(
                    "nothing was committed for {} s: {uncommitted}",
                    SILENCE.as_secs()
                );
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn tell_members(
        &self,
        members: &[Instance],
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<()> {
        for member in members {
            let url = format!("{}{path}", member.url);
            let request = self.http.post(&url);
            let request = match &body {
                Some(body) => request.json(body),
                None => request,
            };
            let answer = request
                .send()
                .await
                .and_then(|answer| answer.error_for_status());
            answer.with_context(|| format!("cannot ask {url}"))?;
        }
        Ok(())
    }

    /// Tells this many payments, and says where they are.
    async fn fill(&self, events: u64) -> Result<OffsetRanges> {
        let firsts = self.cluster.end_offsets(&self.topic).await?;
        let kafka = self.layout.kafka();
        let told = tokio::task::spawn_blocking(move || tell(&kafka, events));
        told.await.context("telling the payments broke off")??;
        let ends = self.cluster.end_offsets(&self.topic).await?;
        let waiting = self.uncommitted().await?.count();
        if u64::try_from(waiting) != Ok(events) {
            bail!("{waiting} of {events} payments wait: somebody takes them, or tells others");
        }
        let range = |(partition, end): (i32, i64)| {
            let first = firsts.get(&partition).copied().unwrap_or_default();
            (partition, (first, end))
        };
        Ok(ends.into_iter().map(range).collect())
    }

    async fn drain(&self, events: u64) -> Result<Drained> {
        let all = i64::try_from(events)?;
        let first = self
            .watch(|uncommitted| uncommitted.count() < all)
            .await?
            .count();
        let begun = Instant::now();
        self.watch(UncommittedOffsets::is_empty).await?;
        if first == 0 {
            bail!("all {events} payments were gone at the second look: measure more of them");
        }
        Ok(Drained {
            events: u64::try_from(first)?,
            time: begun.elapsed(),
        })
    }
}

/// Processor seconds: of all instances together, of broker and database.
fn by_service(used: &usage::Used) -> Vec<(String, f64)> {
    let mut sums = BTreeMap::<String, f64>::new();
    for (name, seconds) in &used.by_process {
        let service = name.split('.').next().unwrap_or(name);
        *sums.entry(service.to_owned()).or_default() += seconds;
    }
    sums.remove(usage::OURSELVES);
    sums.into_iter().collect()
}

/// Payments for a product of which there is more than enough, each of an order of its own. Blocks.
fn tell(kafka: &KafkaSettings, events: u64) -> Result<()> {
    let settings = BulkSettings {
        compression: Compression::Lz4,
        linger_ms: 5,
        batch_bytes: 1_000_000,
        acks: Acks::All,
    };
    let connection = BrokerHealth::new(
        Readiness::new("bench").component("kafka"),
        Criticality::Required,
    );
    let acknowledged = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&acknowledged);
    let told = move |receipt: DeliveryReport<'_>| {
        count.fetch_add(u64::from(receipt.outcome.is_ok()), Ordering::Relaxed);
    };
    let bulk = BulkProducer::new(
        kafka,
        "sandbox",
        Topic::Payments,
        &settings,
        connection,
        told,
    )?;
    let product = ProductId::new("prod_burst")?;
    let (quantity, amount) = (Quantity::new(1)?, "10.00".parse::<Amount>()?);
    let deadline = Instant::now() + TOLD_WITHIN;
    for _ in 0..events {
        let order_id = OrderId::now();
        let event = PaymentSucceeded {
            order_id,
            payment_id: PaymentId::of(order_id),
            product_id: product.clone(),
            quantity,
            amount,
            occurred_at: Utc::now(),
        };
        let event = Envelope::first(event, CorrelationId::random(), TraceParent::random());
        let (key, value, headers) = (event.key(), event.value()?, event.header_pairs());
        let record = BulkRecord {
            key: key.as_bytes(),
            value: &value,
            headers: &headers,
            partition: None,
            tag: 0,
        };
        while bulk.send(&record).is_err() {
            if Instant::now() > deadline {
                bail!("the broker did not take {events} payments within {TOLD_WITHIN:?}");
            }
            bulk.poll_until(Instant::now() + POLL_INTERVAL, || bulk.has_capacity());
        }
    }
    bulk.flush_or_purge(deadline.saturating_duration_since(Instant::now()));
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    if acknowledged != events {
        bail!("{acknowledged} of {events} payments were acknowledged");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_all_members_is_one_figure_and_ours_is_none() {
        let seconds = [
            ("inventory-service.1", 1.0),
            ("inventory-service.2", 2.0),
            ("kafka", 4.0),
            (usage::OURSELVES, 8.0),
        ];
        let by_process = seconds.map(|(name, seconds)| (name.to_owned(), seconds));
        let used = usage::Used {
            by_process: BTreeMap::from(by_process),
            others_s: 16.0,
        };
        let expected = [("inventory-service", 3.0), ("kafka", 4.0)];
        let expected = expected.map(|(name, seconds)| (name.to_owned(), seconds));
        assert_eq!(by_service(&used), expected);
    }
}
