//! From a batch to its settlement.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use chrono::Utc;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::message::{Message, OwnedHeaders};
use shared_events::{Envelope, Poison};

use crate::dead_letter::DeadLetterHeaders;
use crate::faults::{CrashPoint, Protection};
use crate::handler::{Failure, Handler};
use crate::member::assignment::Partition;
use crate::member::batch::{Batch, Collected, Offsets};
use crate::member::plan::{Kind, Place, Plan, plan};
use crate::member::spans::BatchSpans;
use crate::member::standing::Loop;
use crate::member::verdict::{Skipped, Verdict, apply};
use crate::settle::{DeadLetter, Settlement, Unsettled};

/// Why a batch comes again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("the effect of a batch failed")]
    Effect(#[from] Failure),
    #[error("a batch was not settled")]
    Settle(#[from] Unsettled),
}

/// What was made of a batch that is settled.
pub(super) struct Done {
    pub(super) plan: Plan,
    /// Of each partition, how many records.
    pub(super) records: BTreeMap<Partition, u64>,
    pub(super) effect: Duration,
    pub(super) settle: Duration,
}

impl<H: Handler> Loop<H> {
    /// Has the effect of a batch that was taken then, and settles it. An error leaves everything unsettled.
    pub(super) fn process(
        &mut self,
        batch: Batch<'_, H::Work>,
        taken: SystemTime,
    ) -> Result<Done, Failed> {
        let reader = (self.settings.service, self.group.as_str());
        let mut spans = BatchSpans::of(&self.settings.tracer, reader, &batch, taken);
        let done = self.settle_effect(batch, &mut spans);
        if let (Some(spans), Err(failed)) = (spans, &done) {
            spans.failed(failed);
        }
        done
    }

    /// Takes the spans when it has recorded them.
    fn settle_effect(
        &mut self,
        mut batch: Batch<'_, H::Work>,
        spans: &mut Option<BatchSpans>,
    ) -> Result<Done, Failed> {
        let started = Instant::now();
        let (plan, events) = self.apply(&mut batch)?;
        self.settings.faults.pass(CrashPoint::EffectCommitted);
        let effect = started.elapsed();

        let offsets = offsets(&batch, &plan);
        batch.records.retain(|record| plan.keeps(&record.place()));
        let letters = batch
            .records
            .iter()
            .filter_map(|record| self.dead_letter(record))
            .collect::<Vec<_>>();
        let names = self.consumer.context().names();
        let settlement = Settlement {
            events: &events,
            dead_letters: &letters,
            offsets: names.list(
                offsets
                    .iter()
                    .map(|(partition, offset)| (*partition, Offset::Offset(*offset))),
            ),
        };
        let settling = SystemTime::now();
        self.settler.settle(&self.consumer, &settlement)?;
        if let Some(spans) = spans.take() {
            spans.settled(&batch, &events, settling);
        }

        let records = self.count(&batch);
        self.settled.extend(offsets);
        Ok(Done {
            plan,
            records,
            effect,
            settle: started.elapsed() - effect,
        })
    }

    /// Has the effect of what is kept, and finds the poison that only the effect shows. What is kept depends on what is poison, so
    /// it is then decided anew and applied once more: a handler allows that at any time, and it is simpler than telling apart
    /// whose events were already made.
    fn apply(&self, batch: &mut Batch<'_, H::Work>) -> Result<(Plan, Vec<Envelope>), Failure> {
        loop {
            let plan = self.plan(&batch.records);
            let kept = batch.records.iter().enumerate();
            let kept = kept.filter(|(_, record)| plan.keeps(&record.place()));
            let (indices, works): (Vec<usize>, Vec<&H::Work>) = kept
                .filter_map(|(index, record)| Some((index, record.work()?)))
                .unzip();
            let applied = self.runtime.block_on(apply(&self.handler, &works))?;
            if applied.poison.is_empty() {
                return Ok((plan, applied.events));
            }
            if self.stop.is_cancelled() {
                // A drain that was given up takes the runtime away, and what then panics is not the record's fault.
                return Err(Failure::Retryable {
                    operation: "having an effect",
                    source: "the member is about to stop".into(),
                });
            }
            for (place, poison) in applied.poison {
                let record = indices
                    .get(place)
                    .and_then(|index| batch.records.get_mut(*index));
                if let Some(record) = record {
                    record.verdict = Verdict::Poison(poison);
                }
            }
        }
    }

    pub(super) fn plan(&self, records: &[Collected<'_, H::Work>]) -> Plan {
        let places: Vec<Place> = records.iter().map(Collected::place).collect();
        let guarded = self.settings.faults.keeps(Protection::PoisonLimit);
        let limit = if guarded {
            self.settings.consumer.poison_limit
        } else {
            u32::MAX
        };
        plan(
            &places,
            self.settings.consumer.poison_policy,
            self.run_of_poison,
            limit,
        )
    }

    /// The record as a dead letter, if it is poison.
    fn dead_letter<'m>(&self, record: &'m Collected<'_, H::Work>) -> Option<DeadLetter<'m>> {
        let poison = record.poison()?;
        let message = &record.message;
        let why = DeadLetterHeaders {
            original_topic: message.topic().to_owned(),
            original_partition: message.partition(),
            original_offset: message.offset(),
            original_timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            consumer_group: self.group.clone(),
            error_class: poison.class,
            error_message: poison.message.clone(),
            failed_at: Utc::now(),
            attempts: 1,
        };
        // Copied as they are, unread: a name that is not UTF-8 may be the very reason.
        let headers = message.headers();
        Some(DeadLetter {
            key: message.key(),
            value: message.payload(),
            headers: headers.map_or_else(OwnedHeaders::new, |headers| headers.detach()),
            why,
        })
    }

    fn count(&mut self, settled: &Batch<'_, H::Work>) -> BTreeMap<Partition, u64> {
        let mut by_partition = BTreeMap::new();
        for record in &settled.records {
            *by_partition.entry(record.partition).or_insert(0) += 1;
            match &record.verdict {
                Verdict::Work(_) => {}
                Verdict::NotForUs(reason) => self.metrics.skipped(*reason, 1),
                Verdict::Poison(poison) => {
                    let (partition, offset) = (record.partition, record.message.offset());
                    tracing::warn!(topic = %partition.topic, partition = partition.number, offset, %poison, "set aside");
                    self.metrics.dead_letter(poison.class);
                    self.metrics.error(partition.topic);
                }
            }
        }
        let names = self.consumer.context().names();
        for (partition, records) in &by_partition {
            self.metrics.consumed(names, *partition, *records);
        }
        by_partition
    }
}

impl<W> Collected<'_, W> {
    pub(super) fn place(&self) -> Place {
        let kind = match self.verdict {
            Verdict::Work(_)
            | Verdict::NotForUs(Skipped::NotOurs | Skipped::ReplayedForAnother) => Kind::Good,
            Verdict::NotForUs(Skipped::UnknownType) => Kind::Unknown,
            Verdict::Poison(_) => Kind::Poison,
        };
        Place {
            partition: self.partition,
            offset: self.message.offset(),
            kind,
        }
    }

    fn work(&self) -> Option<&W> {
        match &self.verdict {
            Verdict::Work(work) => Some(work),
            Verdict::NotForUs(_) | Verdict::Poison(_) => None,
        }
    }

    pub(super) fn poison(&self) -> Option<&Poison> {
        match &self.verdict {
            Verdict::Poison(poison) => Some(poison),
            Verdict::Work(_) | Verdict::NotForUs(_) => None,
        }
    }
}

/// Where each partition of which something is settled goes on.
fn offsets<W>(batch: &Batch<'_, W>, plan: &Plan) -> Offsets {
    let starts = batch.starts();
    let mut offsets = batch.ends.clone();
    offsets.extend(
        plan.left_out
            .iter()
            .map(|(partition, first)| (*partition, *first)),
    );
    offsets.retain(|partition, offset| starts.get(partition).is_some_and(|start| start < offset));
    offsets
}
