//! The audit: reads everything in the order that [`crate::positions`] explains, then checks order by order.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use cluster_reader::{ClusterReader, Snapshot};
use futures::TryFutureExt;
use kafka_admin::{Cluster, KafkaSettings};
use shared_events::{OrderId, Service, Topic};
use stack::lag_view;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::Allowed;
use crate::databases::{DatabaseSnapshot, INVENTORY_DATABASE, ORDERS_DATABASE};
use crate::item::{Fact, Item, Subject};
use crate::item_files::ItemFiles;
use crate::order_history::OrderHistory;
use crate::order_rules::OrderRules;
use crate::other_rules::{check_offset, check_outbox, check_records, check_stock};
use crate::positions::{EVENT_TOPICS, Positions, retry_topics};
use crate::report::Report;
use crate::topic_items::ItemSink;

/// How long a transaction may stay open while the audit reads. The services' transactions end within 5 s.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two readings of the topics' ends.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Where the audit reads.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The broker.
    pub kafka: KafkaSettings,
    /// The connection URL of order-service's database, with role and password.
    pub orders_database: String,
    /// The connection URL of inventory-service's database, with role and password.
    pub inventory_database: String,
    /// The folder of the temporary files: about 350 bytes for each order.
    pub scratch: PathBuf,
}

/// An audit.
#[derive(Debug, Clone)]
pub struct Audit<'a> {
    /// Where it reads.
    pub sources: &'a Sources,
    /// What is no violation.
    pub allowed: Allowed,
    /// Only orders that were created since then, by the time in their ids. Stock, offsets and outbox are checked as a whole.
    pub since: Option<DateTime<Utc>>,
    /// Orders whose ids a client has received.
    pub accepted_by_client: Vec<OrderId>,
}

impl Audit<'_> {
    /// Reads everything and checks it.
    ///
    /// # Errors
    /// A broker, a database or a temporary file cannot be read.
    pub async fn run(&self) -> Result<Report> {
        let mut report = Report::default();
        let mut positions = Positions::default();
        let cluster = Cluster::new(&self.sources.kafka)?;
        let mut reader = lag_view::reader(&self.sources.kafka);
        let snapshot = lag_view::read(&mut reader).await?;
        let caught_up = self.read_groups(&snapshot, &mut positions, &mut report);

        let now = Utc::now();
        let since_ms = self
            .since
            .map_or(0, |since| since.timestamp_millis().max(0));
        let files = ItemFiles::create(&self.sources.scratch, self.expected_items(&snapshot))?;
        let sink = ItemSink::new(files, since_ms);
        for order in &self.accepted_by_client {
            sink.add(Item {
                subject: Subject::order(*order),
                fact: Fact::AcceptedByClient,
            });
        }
        let first = Uuid::from_u128(u128::from(since_ms.unsigned_abs()) << 80);
        let (mut orders, mut inventory) = self.open_databases().await?;
        // Before the ends, so that no dead letter names a record after an end.
        let letters = sink.read_dead_letters(&cluster).await?;
        self.read_ends(&mut reader, &mut positions).await?;
        let on_product = |stock| check_stock(&stock, &mut report);
        let (outbox, (), events) = tokio::try_join!(
            orders
                .read_orders(first, |item| sink.add(item))
                .map_err(|error| error.context(ORDERS_DATABASE)),
            inventory
                .read_inventory(first, |item| sink.add(item), on_product)
                .map_err(|error| error.context(INVENTORY_DATABASE)),
            sink.read_events(&cluster),
        )?;
        check_outbox(outbox, caught_up, &mut report);
        for topic in letters.into_iter().chain(events) {
            topic.keep(&mut positions, now.timestamp_millis());
        }
        let files = sink.into_files().context("a reader is still at work")?;
        check_items(files, &positions, &self.allowed, &mut report)?;
        report.notes = positions.notes();
        Ok(report)
    }

    /// The databases of order-service and inventory-service, as they are now.
    async fn open_databases(&self) -> Result<(DatabaseSnapshot, DatabaseSnapshot)> {
        let orders = DatabaseSnapshot::open(&self.sources.orders_database).await;
        let inventory = DatabaseSnapshot::open(&self.sources.inventory_database).await;
        Ok((
            orders.context(ORDERS_DATABASE)?,
            inventory.context(INVENTORY_DATABASE)?,
        ))
    }

    /// The topics whose records become items, without dead letters.
    fn topics() -> impl Iterator<Item = Topic> {
        EVENT_TOPICS.into_iter().chain(retry_topics())
    }

    /// Twice the records: about as many rows as records of two topics.
    fn expected_items(&self, snapshot: &Snapshot) -> u64 {
        let name = |topic| self.sources.kafka.name_prefix.topic(topic);
        let partitions = Self::topics().filter_map(|topic| snapshot.topics.get(&name(topic)));
        let records = partitions
            .flat_map(|one| one.values())
            .map(|log| log.high_watermark.saturating_sub(log.log_start));
        records
            .map(i64::unsigned_abs)
            .sum::<u64>()
            .saturating_mul(2)
    }

    /// Keeps and checks what the groups have committed. Returns whether all of them are caught up.
    fn read_groups(
        &self,
        snapshot: &Snapshot,
        positions: &mut Positions,
        report: &mut Report,
    ) -> bool {
        let prefix = &self.sources.kafka.name_prefix;
        let mut caught_up = true;
        for service in Service::ALL {
            let group = lag_view::service_group(snapshot, prefix, service);
            caught_up &= group.is_caught_up();
            for (at, row) in &group.partitions {
                let (Some(topic), Some(committed)) = (prefix.topic_of(&at.topic), row.committed)
                else {
                    continue;
                };
                let undefined = row.lag.as_ref().err().copied();
                check_offset(service, (topic, at.partition), committed, undefined, report);
                if undefined.is_none() {
                    let key = (service, topic, at.partition);
                    positions.committed.insert(key, committed);
                }
            }
        }
        caught_up
    }

    /// Keeps the ends of the topics, and waits until the transactions before these ends are over.
    async fn read_ends(&self, reader: &mut ClusterReader, positions: &mut Positions) -> Result<()> {
        let deadline = Instant::now() + TRANSACTION_TIMEOUT;
        let snapshot = lag_view::read(reader).await?;
        let name = |topic| self.sources.kafka.name_prefix.topic(topic);
        for topic in Self::topics() {
            for (partition, log) in snapshot.topics.get(&name(topic)).into_iter().flatten() {
                positions
                    .ends
                    .insert((topic, *partition), log.high_watermark);
            }
        }
        let mut latest = snapshot;
        loop {
            let is_open = |((topic, partition), end): (&(Topic, i32), &i64)| {
                let log = latest.topics.get(&name(*topic))?.get(partition)?;
                (log.last_stable < *end).then_some(*topic)
            };
            positions.hidden = positions.ends.iter().filter_map(is_open).collect();
            if positions.hidden.is_empty() || Instant::now() >= deadline {
                return Ok(());
            }
            sleep(POLL_INTERVAL).await;
            latest = lag_view::read(reader).await?;
        }
    }
}

/// Checks order by order, and record by record what belongs to no order.
pub(crate) fn check_items(
    files: ItemFiles,
    positions: &Positions,
    allowed: &Allowed,
    report: &mut Report,
) -> Result<()> {
    let parts = files.fold(|part: &mut Report, items| {
        for of_one in items.chunk_by(|one, next| one.subject == next.subject) {
            let Some(subject) = of_one.first().map(|item| item.subject) else {
                continue;
            };
            check_subject(subject, of_one, positions, allowed, part);
        }
    })?;
    for part in parts {
        report.add(part);
    }
    // A rule that nothing was checked for holds.
    for rule in crate::Rule::ALWAYS {
        report.rules.entry(rule).or_default();
    }
    Ok(())
}

fn check_subject(
    subject: Subject,
    items: &[Item],
    positions: &Positions,
    allowed: &Allowed,
    report: &mut Report,
) {
    let order = OrderHistory::new(OrderId::from(Uuid::from_u128(subject.id)), items);
    check_records(&order, subject, positions, report);
    if subject.is_order {
        let rules = OrderRules {
            order: &order,
            positions,
            allowed,
        };
        rules.check(report);
    }
}
