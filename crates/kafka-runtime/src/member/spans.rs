//! The spans of a batch: `process` for each record whose trace is recorded, `send` for each answer and dead letter, and one for the
//! batch, which is in no order's trace and links to those of its records.
//!
//! An answer's header names its `send` span by an id made of the event's, so a batch that comes again tells the same bytes. Hence
//! `send` is recorded when it counts, after the settlement, while each attempt has a `process` span of its own.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rdkafka::message::Message;
use service_kit::trace::{Span, SpanKind, Tracer};
use shared_events::{Envelope, EventHeaders, Service, TraceParent};
use uuid::Uuid;

use super::turn::Chain;
use crate::member::assignment::Partition;
use crate::member::batch::{Batch, Collected};
use crate::member::verdict::headers;

/// The traced records of a batch that is being processed.
pub(super) struct BatchSpans {
    tracer: Tracer,
    service: Service,
    group: String,
    taken: SystemTime,
    records: BTreeMap<(Partition, i64), Traced>,
    all: usize,
}

/// A record whose trace is recorded.
struct Traced {
    /// Where its header says it is.
    from: TraceParent,
    /// Its `process` span.
    place: TraceParent,
    topic: String,
    /// Unreadable where they are what makes it poison.
    headers: Option<EventHeaders>,
}

impl BatchSpans {
    /// Of a batch taken then; nothing while no trace of it is recorded.
    pub(super) fn of<W>(
        tracer: &Tracer,
        (service, group): (Service, &str),
        batch: &Batch<'_, W>,
        taken: SystemTime,
    ) -> Option<Self> {
        if !tracer.is_on() {
            return None;
        }
        let traced = |record: &Collected<'_, W>| {
            let pairs = headers(&record.message).ok()?;
            let from = EventHeaders::traceparent(pairs.iter().copied())?;
            tracer.records(from).then(|| {
                let traced = Traced {
                    from,
                    place: from.new_child(),
                    topic: record.message.topic().to_owned(),
                    headers: EventHeaders::from_pairs(pairs).ok().map(|(_, all)| all),
                };
                ((record.partition, record.message.offset()), traced)
            })
        };
        let records: BTreeMap<_, _> = batch.records.iter().filter_map(traced).collect();
        (!records.is_empty()).then(|| Self {
            tracer: tracer.clone(),
            service,
            group: group.to_owned(),
            taken,
            records,
            all: batch.records.len(),
        })
    }

    /// The batch comes again.
    pub(super) fn failed(self, why: &dyn std::error::Error) {
        let why = Chain(why).to_string();
        for (at, record) in &self.records {
            self.tracer
                .end(self.process(*at, record).failed(Some(why.clone())));
        }
        self.end_batch(Some(why));
    }

    /// What is left of the batch is settled, and these events are told. Settling began then.
    pub(super) fn settled<W>(
        self,
        batch: &Batch<'_, W>,
        events: &[Envelope],
        settling: SystemTime,
    ) {
        for record in &batch.records {
            let at = (record.partition, record.message.offset());
            let Some(traced) = self.records.get(&at) else {
                continue;
            };
            let poison = record.poison().map(ToString::to_string);
            if poison.is_some() {
                let letter = traced.place.new_child();
                let topic = self.service.dead_letter_topic().name();
                self.send(topic, letter, traced.place, settling);
            }
            self.tracer.end(self.process(at, traced).failed(poison));
        }
        let answered: BTreeMap<Uuid, TraceParent> = self
            .records
            .values()
            .filter_map(|traced| Some((traced.headers.as_ref()?.event_id.as_uuid(), traced.place)))
            .collect();
        for event in events {
            if let Some(asked) = answered.get(&event.headers.causation_id) {
                let topic = event.event.event_type().topic().name();
                self.send(topic, event.headers.traceparent, *asked, settling);
            }
        }
        self.end_batch(None);
    }

    fn process(&self, (partition, offset): (Partition, i64), record: &Traced) -> Span {
        let name = format!("process {}", partition.topic);
        let span = Span::new(name, SpanKind::Consumer, record.place, self.taken)
            .part_of(record.from)
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

    fn send(&self, topic: &str, place: TraceParent, asked: TraceParent, started: SystemTime) {
        self.tracer.end(send_span(topic, place, asked, started));
    }

    fn end_batch(self, why: Option<String>) {
        let place = TraceParent::random().with_sampled(true);
        let span = Span::new("process batch", SpanKind::Consumer, place, self.taken)
            .attribute("messaging.system", "kafka")
            .attribute("messaging.consumer.group.name", self.group)
            .attribute("messaging.batch.message_count", self.all as i64)
            .linked_to(self.records.values().map(|record| record.place))
            .failed(why);
        self.tracer.end(span);
    }
}

/// The span of a record that was handed to the broker, and acknowledged by it.
pub(crate) fn send_span(
    topic: &str,
    place: TraceParent,
    parent: TraceParent,
    started: SystemTime,
) -> Span {
    Span::new(format!("send {topic}"), SpanKind::Producer, place, started)
        .part_of(parent)
        .attribute("messaging.system", "kafka")
        .attribute("messaging.operation.type", "send")
        .attribute("messaging.destination.name", topic.to_owned())
}
