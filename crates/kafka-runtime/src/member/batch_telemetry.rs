//! The times and the spans of a batch.
//!
//! A `process` span for each record whose trace is recorded, a `send` span for each event and dead letter, and one span for the
//! batch. The batch belongs to no order's trace; its span links to those of its records.
//!
//! The id of an event's `send` span is made from the event's id and is in the event's header, so that a retried batch
//! publishes the same bytes. So `send` spans are recorded only after the commit, while each attempt has `process` spans of its
//! own.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use rdkafka::message::Message;
use service_kit::trace::{Span, SpanKind, Tracer};
use shared_events::{Envelope, EventHeaders, Service, TraceParent};
use uuid::Uuid;

use crate::error_chain::ErrorChain;
use crate::member::MemberSettings;
use crate::member::classify::{Classification, record_headers};
use crate::member::collect::{Batch, Collected};
use crate::metrics::BatchTimes;
use crate::produce::send_span;
use crate::topic_partitions::Partition;

/// Measures one attempt at a batch.
pub(super) struct BatchTelemetry {
    collected: Instant,
    apply_started: Instant,
    apply_ended: Instant,
    commit_started: SystemTime,
    /// `None` while no trace of the batch is recorded.
    spans: Option<BatchSpans>,
}

impl BatchTelemetry {
    /// Of a batch that has just been collected.
    pub(super) fn start<W>(settings: &MemberSettings, group: &str, batch: &Batch<'_, W>) -> Self {
        let (now, time) = (Instant::now(), SystemTime::now());
        let reader = (settings.service, group);
        Self {
            collected: now,
            apply_started: now,
            apply_ended: now,
            commit_started: time,
            spans: BatchSpans::new(&settings.tracer, reader, batch, time),
        }
    }

    pub(super) fn apply_started(&mut self) {
        self.apply_started = Instant::now();
    }

    /// The batch is applied; its commit begins.
    pub(super) fn apply_ended(&mut self) {
        self.apply_ended = Instant::now();
        self.commit_started = SystemTime::now();
    }

    pub(super) fn failed(self, error: &dyn std::error::Error) {
        if let Some(spans) = self.spans {
            spans.failed(error);
        }
    }

    /// What is left of the batch is committed, with these events.
    pub(super) fn committed<W>(&mut self, batch: &Batch<'_, W>, events: &[Envelope]) {
        if let Some(spans) = self.spans.take() {
            spans.committed(batch, events, self.commit_started);
        }
    }

    /// The times until now.
    pub(super) fn times(&self) -> BatchTimes {
        BatchTimes {
            apply: self.apply_ended - self.apply_started,
            commit: self.apply_ended.elapsed(),
            total: self.collected.elapsed(),
        }
    }
}

/// The spans of a batch's records.
struct BatchSpans {
    tracer: Tracer,
    service: Service,
    group: String,
    collected: SystemTime,
    records: BTreeMap<(Partition, i64), TracedRecord>,
    all: usize,
}

/// A record whose trace is recorded.
struct TracedRecord {
    /// The span named by its header.
    parent: TraceParent,
    /// Its `process` span.
    process: TraceParent,
    topic: String,
    /// `None` if they cannot be decoded, which makes the record poison.
    headers: Option<EventHeaders>,
}

impl BatchSpans {
    fn new<W>(
        tracer: &Tracer,
        (service, group): (Service, &str),
        batch: &Batch<'_, W>,
        collected: SystemTime,
    ) -> Option<Self> {
        if !tracer.is_on() {
            return None;
        }
        let traced = |record: &Collected<'_, W>| {
            let pairs = record_headers(&record.message).ok()?;
            let parent = EventHeaders::traceparent(pairs.iter().copied())?;
            tracer.is_recorded(parent).then(|| {
                let traced = TracedRecord {
                    parent,
                    process: parent.new_child(),
                    topic: record.message.topic().to_owned(),
                    headers: EventHeaders::from_pairs(pairs).ok().map(|(_, all)| all),
                };
                ((record.partition, record.offset()), traced)
            })
        };
        let records: BTreeMap<_, _> = batch.records.iter().filter_map(traced).collect();
        (!records.is_empty()).then(|| Self {
            tracer: tracer.clone(),
            service,
            group: group.to_owned(),
            collected,
            records,
            all: batch.records.len(),
        })
    }

    fn failed(self, error: &dyn std::error::Error) {
        let error = ErrorChain(error).to_string();
        for (at, record) in &self.records {
            let span = self.process_span(*at, record);
            self.tracer.record(span.with_error(Some(error.clone())));
        }
        self.end_batch(Some(error));
    }

    fn committed<W>(self, batch: &Batch<'_, W>, events: &[Envelope], commit_started: SystemTime) {
        for record in &batch.records {
            let at = (record.partition, record.offset());
            let Some(traced) = self.records.get(&at) else {
                continue;
            };
            let sent_to = match &record.classification {
                Classification::Poison(poison) => {
                    Some((self.service.dead_letter_topic(), poison.to_string()))
                }
                Classification::Retry(retry) => self
                    .service
                    .retry_topic()
                    .map(|topic| (topic, retry.cause.clone())),
                Classification::Work(_)
                | Classification::Skipped(_)
                | Classification::Waiting(_) => None,
            };
            if let Some((topic, _)) = &sent_to {
                let span = traced.process.new_child();
                self.end_send(topic.name(), span, traced.process, commit_started);
            }
            let span = self.process_span(at, traced);
            self.tracer
                .record(span.with_error(sent_to.map(|(_, error)| error)));
        }
        let processed: BTreeMap<Uuid, TraceParent> = self
            .records
            .values()
            .filter_map(|traced| {
                let headers = traced.headers.as_ref()?;
                Some((headers.event_id.as_uuid(), traced.process))
            })
            .collect();
        for event in events {
            if let Some(process) = processed.get(&event.headers.causation_id) {
                let topic = event.event.event_type().topic().name();
                self.end_send(topic, event.headers.traceparent, *process, commit_started);
            }
        }
        self.end_batch(None);
    }

    fn process_span(&self, (partition, offset): (Partition, i64), record: &TracedRecord) -> Span {
        let name = format!("process {}", partition.topic);
        let span = Span::new(name, SpanKind::Consumer, record.process, self.collected)
            .child_of(record.parent)
            .attribute("messaging.system", "kafka")
            .attribute("messaging.operation.type", "process")
            .attribute("messaging.consumer.group.name", self.group.clone())
            .attribute("messaging.destination.name", record.topic.clone())
            .attribute(
                "messaging.destination.partition.id",
                partition.number.to_string(),
            )
            .attribute("messaging.kafka.offset", offset);
        match &record.headers {
            None => span,
            Some(headers) => span
                .attribute("messaging.message.id", headers.event_id.to_string())
                .attribute(
                    "messaging.message.conversation_id",
                    headers.correlation_id.to_string(),
                ),
        }
    }

    fn end_send(&self, topic: &str, span: TraceParent, parent: TraceParent, started: SystemTime) {
        self.tracer.record(send_span(topic, span, parent, started));
    }

    fn end_batch(self, error: Option<String>) {
        let span = TraceParent::random().with_sampled(true);
        let span = Span::new("process batch", SpanKind::Consumer, span, self.collected)
            .attribute("messaging.system", "kafka")
            .attribute("messaging.consumer.group.name", self.group)
            .attribute("messaging.batch.message_count", self.all as i64)
            .with_links(self.records.values().map(|record| record.process))
            .with_error(error);
        self.tracer.record(span);
    }
}
