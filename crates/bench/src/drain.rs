//! How fast inventory-service drains a backlog.
//!
//! The other services and the tools are stopped. The members have joined the group and own their
//! partitions before the clock starts, so the figure contains no rebalance. While the members are
//! paused, payments for `prod_burst` are published; then all members resume at once. The clock runs
//! from the first committed offset that moves until all payments are committed, so the figure does
//! not contain the cost of the start either.
//!
//! For comparison, a plain consumer reads the same records in the same run: alone, without a group,
//! and without processing them.
//!
//! The backlog is read twenty times a second, and therefore from offsets alone: the end offset
//! minus the committed offset. That equals the lag of `cluster-reader` while no transactional
//! producer writes to the topic, and the transactional producers are stopped meanwhile. The lag of
//! `cluster-reader` also reads records, which would use the processors that are measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kafka_admin::Cluster;
use kafka_admin::offsets::UncommittedOffsets;
use kafka_admin::read_benchmark::OffsetRanges;
use serde_json::json;
use shared_events::{Service, Topic};
use tokio::time::sleep;

use super::measurements::Measurements;
use super::payment_backlog::publish_payments;
use super::usage::{self, UsageSample};
use stack::Stack;
use stack::layout::{Instance, StackLayout};

/// The smallest backlog for which the plain consumer is measured: it reads fewer events in one
/// fetch.
pub const MIN_COMPARED_EVENTS: u64 = 10_000;

/// Payments that are enough to put some into every partition.
const PRIMING_EVENTS: u64 = 300;

/// Between two reads of the committed offsets. A shorter interval would be a load on the broker.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The longest time in which nothing is committed while a backlog exists.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of the members and the size of the backlog.
#[derive(Debug, Clone, Copy)]
pub struct DrainCase {
    /// The value of `DELIVERY`.
    pub delivery: &'static str,
    /// The highest number of records in a batch.
    pub batch_max: u32,
    /// The events in the backlog.
    pub events: u64,
}

/// Publishes a backlog for inventory-service, and measures how fast its members consume it.
pub struct DrainBench<'s> {
    layout: &'s StackLayout,
    cluster: Cluster,
    topic: String,
    group: String,
    http: reqwest::Client,
}

/// The clock starts at the first poll that finds committed events.
struct Drained {
    /// Events committed after that poll.
    events: u64,
    time: Duration,
}

impl<'s> DrainBench<'s> {
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

    /// Publishes a few payments and waits until the members have consumed them. After that the
    /// group has a committed offset for each partition, which the backlog is calculated from.
    pub async fn prime(&self) -> Result<()> {
        self.publish(PRIMING_EVENTS).await?;
        self.wait_caught_up().await
    }

    /// Drains one backlog with these members. From [`MIN_COMPARED_EVENTS`] on, a plain consumer
    /// then reads the same records.
    pub async fn measure(
        &self,
        case: DrainCase,
        members: &[Instance],
        measurements: &mut Measurements,
    ) -> Result<()> {
        let count = members.len();
        let name = |what: &str| case.figure_name(count, what);
        self.wait_caught_up().await?;
        let config = json!({"batch_max": case.batch_max, "processing_time_ms": 0, "paused": true});
        self.post_to_members(members, "/config", Some(config))
            .await?;
        let ranges = self.fill(case.events).await?;
        let stack = Stack::open(self.layout)?;
        let before = UsageSample::take(&stack)?;
        self.post_to_members(members, "/resume", None).await?;
        let drained = self.drain(case.events).await?;
        let used = UsageSample::take(&stack)?.since(&before);
        let rate = drained.events as f64 / drained.time.as_secs_f64();
        measurements.add(name("drained"), "events/s", rate);
        if count > 1 {
            measurements.add(name("drained, for each"), "events/s", rate / count as f64);
        }
        for (service, seconds) in by_service(&used) {
            let per_event = 1e6 * seconds / case.events as f64;
            let name = name(&format!("processor time an event: {service}"));
            measurements.add(name, "µs", per_event);
        }
        if case.events >= MIN_COMPARED_EVENTS {
            let limit = self.plain_consumer_rate(case.events, &ranges).await?;
            measurements.add(name("a plain consumer takes"), "events/s", limit);
            measurements.add(name("a plain consumer is faster"), "times", limit / rate);
        }
        Ok(())
    }

    /// Events a second that a plain consumer reads of these records.
    async fn plain_consumer_rate(&self, events: u64, ranges: &OffsetRanges) -> Result<f64> {
        let (read, time) = self.cluster.benchmark_read(&self.topic, ranges).await?;
        if read != events {
            bail!("the plain consumer read {read} of {events} payments, so its rate is invalid");
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

    async fn wait_caught_up(&self) -> Result<()> {
        self.wait_until(|uncommitted| uncommitted.is_empty())
            .await
            .map(drop)
    }

    /// Polls the uncommitted offsets until `done` accepts them. Fails if they do not change for
    /// [`STALL_TIMEOUT`].
    async fn wait_until(
        &self,
        done: impl Fn(&UncommittedOffsets) -> bool,
    ) -> Result<UncommittedOffsets> {
        let (mut last_change, mut last_count) = (Instant::now(), None);
        loop {
            let uncommitted = self.uncommitted().await?;
            if done(&uncommitted) {
                return Ok(uncommitted);
            }
            let count = Some(uncommitted.count());
            if count != last_count {
                (last_change, last_count) = (Instant::now(), count);
            }
            if last_change.elapsed() > STALL_TIMEOUT {
                bail!(
                    "nothing was committed for {} s: {uncommitted}",
                    STALL_TIMEOUT.as_secs()
                );
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn post_to_members(
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
            let response = request
                .send()
                .await
                .and_then(|response| response.error_for_status());
            response.with_context(|| format!("POST {url} failed"))?;
        }
        Ok(())
    }

    async fn publish(&self, events: u64) -> Result<()> {
        let kafka = self.layout.kafka();
        let published = tokio::task::spawn_blocking(move || publish_payments(&kafka, events));
        published
            .await
            .context("the task that publishes payments failed")?
    }

    /// Publishes this many payments, and returns their offsets.
    async fn fill(&self, events: u64) -> Result<OffsetRanges> {
        let starts = self.cluster.end_offsets(&self.topic).await?;
        self.publish(events).await?;
        let ends = self.cluster.end_offsets(&self.topic).await?;
        let backlog = self.uncommitted().await?.count();
        if u64::try_from(backlog) != Ok(events) {
            bail!(
                "the backlog is {backlog} after {events} payments were published: another program consumes or produces them"
            );
        }
        let range = |(partition, end): (i32, i64)| {
            let start = starts.get(&partition).copied().unwrap_or_default();
            (partition, (start, end))
        };
        Ok(ends.into_iter().map(range).collect())
    }

    async fn drain(&self, events: u64) -> Result<Drained> {
        let all = i64::try_from(events)?;
        let left = self
            .wait_until(|uncommitted| uncommitted.count() < all)
            .await?
            .count();
        let start = Instant::now();
        self.wait_until(UncommittedOffsets::is_empty).await?;
        if left == 0 {
            bail!("all {events} payments were committed between two polls: measure more of them");
        }
        Ok(Drained {
            events: u64::try_from(left)?,
            time: start.elapsed(),
        })
    }
}

impl DrainCase {
    fn figure_name(self, members: usize, what: &str) -> String {
        let (delivery, events) = (self.delivery, self.events);
        let batches = match self.batch_max {
            1 => "each message".to_owned(),
            batch => format!("batches of {batch}"),
        };
        let plural = if members == 1 { "" } else { "s" };
        format!("{batches}, {events} events, {delivery}, {members} member{plural}: {what}")
    }
}

/// Processor seconds of each service (the sum of its instances), of the broker, and of the
/// database.
fn by_service(used: &usage::UsageDelta) -> Vec<(String, f64)> {
    let mut sums = BTreeMap::<String, f64>::new();
    for (name, seconds) in &used.by_process {
        let service = name.split('.').next().unwrap_or(name);
        *sums.entry(service.to_owned()).or_default() += seconds;
    }
    sums.remove(usage::THIS_PROGRAM);
    sums.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_a_service_are_summed_and_this_program_is_left_out() {
        let seconds = [
            ("inventory-service.1", 1.0),
            ("inventory-service.2", 2.0),
            ("kafka", 4.0),
            (usage::THIS_PROGRAM, 8.0),
        ];
        let by_process = seconds.map(|(name, seconds)| (name.to_owned(), seconds));
        let used = usage::UsageDelta {
            by_process: BTreeMap::from(by_process),
            others_s: 16.0,
        };
        let expected = [("inventory-service", 3.0), ("kafka", 4.0)];
        let expected = expected.map(|(name, seconds)| (name.to_owned(), seconds));
        assert_eq!(by_service(&used), expected);
    }
}
