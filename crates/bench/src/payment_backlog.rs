//! Publishes the payments that inventory-service drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use chrono::Utc;
use kafka_admin::bulk_producer::{
    Acks, BulkProducer, BulkRecord, BulkSettings, Compression, DeliveryReport,
};
use kafka_admin::{BrokerHealth, Criticality, KafkaSettings};
use service_kit::Readiness;
use shared_events::{
    Amount, CorrelationId, Envelope, OrderId, PaymentId, PaymentSucceeded, ProductId, Quantity,
    Topic, TraceParent,
};

/// How long publishing all payments may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a full queue is polled before the next attempt to send.
const QUEUE_POLL: Duration = Duration::from_millis(50);

const SETTINGS: BulkSettings = BulkSettings {
    compression: Compression::Lz4,
    linger_ms: 5,
    batch_bytes: 1_000_000,
    acks: Acks::All,
};

/// Publishes `PaymentSucceeded` events for `prod_burst`, a product with more than enough stock.
/// Each event belongs to an order of its own. Blocks until the broker has acknowledged all events.
///
/// # Errors
/// Also if not every event is acknowledged within 60 s.
pub(super) fn publish_payments(kafka: &KafkaSettings, events: u64) -> Result<()> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let producer = producer(kafka, Arc::clone(&acknowledged))?;
    let product = ProductId::new("prod_burst")?;
    let (quantity, amount) = (Quantity::new(1)?, "10.00".parse::<Amount>()?);
    let deadline = Instant::now() + TIMEOUT;
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
        while producer.send(&record).is_err() {
            if Instant::now() > deadline {
                bail!("the broker did not accept {events} payments within {TIMEOUT:?}");
            }
            producer.poll_until(Instant::now() + QUEUE_POLL, || producer.has_capacity());
        }
    }
    producer.flush_or_purge(deadline.saturating_duration_since(Instant::now()));
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    if acknowledged != events {
        bail!("{acknowledged} of {events} payments were acknowledged");
    }
    Ok(())
}

/// A producer that counts the acknowledged records.
fn producer(kafka: &KafkaSettings, acknowledged: Arc<AtomicU64>) -> Result<BulkProducer> {
    let broker_health = BrokerHealth::new(
        Readiness::new("bench").component("kafka"),
        Criticality::Required,
    );
    let on_delivery = move |report: DeliveryReport<'_>| {
        acknowledged.fetch_add(u64::from(report.outcome.is_ok()), Ordering::Relaxed);
    };
    Ok(BulkProducer::new(
        kafka,
        "sandbox",
        Topic::Payments,
        &SETTINGS,
        broker_health,
        on_delivery,
    )?)
}
