//! One turn of a member.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::message::{Header, Message, OwnedHeaders};
use shared_events::{Envelope, Poison};

use crate::dead_letter::DeadLetterHeaders;
use crate::faults::{CrashPoint, Protection};
use crate::handler::{Failure, Handler};
use crate::member::MemberError;
use crate::member::batch::{Batch, Collected, Offsets, collect, positions};
use crate::member::halt::{Halt, find_undecodable};
use crate::member::plan::{Kind, Place, Plan, plan};
use crate::member::rewind::{after_unknown_commit, seek};
use crate::member::standing::Loop;
use crate::member::verdict::{Skipped, Verdict, apply, headers, read};
use crate::metrics::FailedIn;
use crate::settings::PoisonPolicy;
use crate::settle::{DeadLetter, Settlement, Unsettled};

/// Waits after the first, second … failure in a row. Half of each is chance, so that members do not try in step.
const BACK_OFF_MS: [u64; 5] = [50, 100, 200, 500, 1_000];

/// Why a batch comes again.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the effect of a batch failed")]
    Effect(#[from] Failure),
    #[error("a batch was not settled")]
    Settle(#[from] Unsettled),
}

/// What was made of a batch that is settled.
struct Done {
    plan: Plan,
    effect: Duration,
    settle: Duration,
}

impl<H: Handler> Loop<H> {
    /// The delivery guarantee, from top to bottom.
    pub(super) fn turn(&mut self) -> Result<(), MemberError> {
        if let Some(starts) = self.unresolved.take() {
            return self.resolve(starts);
        }
        let consumer = Arc::clone(&self.consumer);
        let batch = collect(
            &consumer,
            self.settings.consumer.batch_max as usize,
            &self.settings.faults,
        )?;
        if batch.records.is_empty() {
            self.idle();
        } else {
            self.settings.faults.pass(CrashPoint::BatchCollected);
            match self.process(&batch) {
                Ok(done) => self.go_on(&batch, done)?,
                Err(failed) => self.come_again(&batch, failed)?,
            }
        }
        if batch.undecodable {
            self.halt_before_undecodable()?;
        }
        Ok(())
    }

    /// Reads, has the effect, settles. An error leaves everything unsettled.
    fn process(&mut self, batch: &Batch<'_>) -> Result<Done, Failed> {
        let started = Instant::now();
        let mut verdicts: Vec<_> = batch
            .records
            .iter()
            .map(|record| read(&self.handler, &self.group, &record.message))
            .collect();
        let (plan, events) = self.apply(batch, &mut verdicts)?;
        self.settings.faults.pass(CrashPoint::EffectCommitted);
        let effect = started.elapsed();

        let kept = batch
            .records
            .iter()
            .zip(&verdicts)
            .filter(|(record, _)| plan.keeps(&place(record, Kind::Good)));
        let poison = kept.clone().filter_map(|(record, verdict)| match verdict {
            Verdict::Poison(poison) => Some((record, poison)),
            Verdict::Work(_) | Verdict::NotForUs(_) => None,
        });
        let dead_letters: Vec<_> = poison
            .clone()
            .map(|(record, poison)| self.dead_letter(record, poison))
            .collect();
        let offsets = self.offsets(batch, &plan);
        let names = self.consumer.context().names();
        let settlement = Settlement {
            events: &events,
            dead_letters: &dead_letters,
            offsets: names.list(
                offsets
                    .iter()
                    .map(|(partition, offset)| (*partition, Offset::Offset(*offset))),
            ),
        };
        self.settler.settle(&self.consumer, &settlement)?;

        for (record, poison) in poison {
            let (partition, offset) = (record.partition, record.message.offset());
            tracing::warn!(topic = %partition.topic, partition = partition.number, offset, %poison, "set aside");
            self.metrics.dead_letter(poison.class);
        }
        for (record, verdict) in kept {
            self.metrics.consumed(names, record.partition, 1);
            if let Verdict::NotForUs(reason) = verdict {
                self.metrics.skipped(*reason, 1);
            }
        }
        self.settled.extend(offsets);
        Ok(Done {
            plan,
            effect,
            settle: started.elapsed() - effect,
        })
    }

    /// Has the effect of what is kept, and finds the poison that only the effect shows.
    fn apply(
        &self,
        batch: &Batch<'_>,
        verdicts: &mut [Verdict<H::Work>],
    ) -> Result<(Plan, Vec<Envelope>), Failure> {
        loop {
            let plan = self.plan(batch, verdicts);
            let kept = |index: &usize| {
                batch
                    .records
                    .get(*index)
                    .is_some_and(|record| plan.keeps(&place(record, Kind::Good)))
            };
            let work: Vec<(usize, &H::Work)> = (0..verdicts.len())
                .filter(kept)
                .filter_map(|index| match verdicts.get(index) {
                    Some(Verdict::Work(work)) => Some((index, work)),
                    _ => None,
                })
                .collect();
            let only_work: Vec<&H::Work> = work.iter().map(|(_, work)| *work).collect();
            let applied = self.runtime.block_on(apply(&self.handler, &only_work))?;
            if applied.poison.is_empty() {
                return Ok((plan, applied.events));
            }
            let found: Vec<_> = applied
                .poison
                .into_iter()
                .filter_map(|(at, poison)| Some((work.get(at)?.0, poison)))
                .collect();
            for (index, poison) in found {
                if let Some(verdict) = verdicts.get_mut(index) {
                    *verdict = Verdict::Poison(poison);
                }
            }
            // The plan depends on what is poison, so it is made anew, and what it keeps is applied once more: that is allowed at any
            // time, and simpler than telling apart whose events were already made.
        }
    }

    fn plan(&self, batch: &Batch<'_>, verdicts: &[Verdict<H::Work>]) -> Plan {
        let kind = |verdict: &Verdict<H::Work>| match verdict {
            Verdict::Work(_)
            | Verdict::NotForUs(Skipped::NotOurs | Skipped::ReplayedForAnother) => Kind::Good,
            Verdict::NotForUs(Skipped::UnknownType) => Kind::Unknown,
            Verdict::Poison(_) => Kind::Poison,
        };
        let places: Vec<Place> = batch
            .records
            .iter()
            .zip(verdicts)
            .map(|(record, verdict)| place(record, kind(verdict)))
            .collect();
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

    /// Where each partition of which something is settled goes on.
    fn offsets(&self, batch: &Batch<'_>, plan: &Plan) -> Offsets {
        let starts = batch.starts();
        let mut offsets = batch.ends.clone();
        offsets.extend(
            plan.left_out
                .iter()
                .map(|(partition, first)| (*partition, *first)),
        );
        offsets
            .retain(|partition, offset| starts.get(partition).is_some_and(|start| start < offset));
        offsets
    }

    fn dead_letter<'m>(&self, record: &'m Collected<'_>, poison: &Poison) -> DeadLetter<'m> {
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
        let mut all = OwnedHeaders::new();
        for (key, value) in headers(message) {
            all = all.insert(Header { key, value });
        }
        for (key, value) in why.to_pairs() {
            all = all.insert(Header {
                key,
                value: Some(&value),
            });
        }
        DeadLetter {
            key: message.key(),
            value: message.payload(),
            headers: all,
        }
    }

    /// After a batch is settled: what was left out of it comes again, and a run of poison at its limit halts the member.
    fn go_on(&mut self, batch: &Batch<'_>, done: Done) -> Result<(), MemberError> {
        self.connection.reached();
        self.failures = 0;
        self.run_of_poison = done.plan.run;
        self.blocked = self.settings.consumer.poison_policy == PoisonPolicy::Block
            && !done.plan.left_out.is_empty();
        self.metrics
            .settled(batch.records.len(), done.effect, done.settle);
        seek(&self.consumer, &done.plan.left_out)?;
        if let Some((partition, offset)) = done.plan.limit_reached {
            self.halt(Halt::PoisonLimit {
                limit: self.settings.consumer.poison_limit,
                topic: self
                    .consumer
                    .context()
                    .names()
                    .name(partition.topic)
                    .to_owned(),
                partition: partition.number,
                offset,
            });
        } else if self.blocked {
            self.back_off(0);
        }
        Ok(())
    }

    /// The one failure path. Nothing was settled; what is still ours of the batch is read again.
    fn come_again(&mut self, batch: &Batch<'_>, failed: Failed) -> Result<(), MemberError> {
        let starts = batch.starts();
        let stage = match &failed {
            Failed::Settle(Unsettled::SlotTaken) => return Err(MemberError::SlotTaken),
            Failed::Settle(Unsettled::GroupMoved(_)) => FailedIn::Group,
            Failed::Settle(Unsettled::Unknown(_)) => {
                self.unresolved = Some(starts.clone());
                FailedIn::Settle
            }
            Failed::Settle(Unsettled::Failed(_)) => FailedIn::Settle,
            Failed::Effect(_) => FailedIn::Effect,
        };
        self.metrics.failed(stage);
        if self.settings.faults.keeps(Protection::SeekBack) {
            seek(&self.consumer, &starts)?;
        }
        if stage == FailedIn::Group {
            // It happens whenever members come and go: no reason to wait.
            tracing::info!(cause = %Chain(&failed), "the group moved on; the batch comes again");
            return Ok(());
        }
        tracing::warn!(cause = %Chain(&failed), records = batch.records.len(), "the batch comes again");
        self.back_off(self.failures);
        self.failures += 1;
        Ok(())
    }

    /// After a commit that was not answered. A new producer with the same transactional id makes the coordinator finish the
    /// transaction one way or the other; only then do the committed offsets tell which. Until it is known nothing is polled:
    /// reading the batch again could tell it twice, going on could skip it.
    fn resolve(&mut self, starts: Offsets) -> Result<(), MemberError> {
        let outcome = self
            .settler
            .prepare()
            .ok()
            .and_then(|_| after_unknown_commit(&self.consumer, &starts));
        match outcome {
            Some(to) => seek(&self.consumer, &to),
            None => {
                self.unresolved = Some(starts);
                self.back_off(self.failures);
                self.failures += 1;
                Ok(())
            }
        }
    }

    fn halt_before_undecodable(&mut self) -> Result<(), MemberError> {
        // The client has passed over the damaged record set already: it must be read again, whoever mends it.
        let positions = positions(&self.consumer);
        let names = self.consumer.context().names();
        let halt = find_undecodable(&self.settings.kafka, names, &positions);
        seek(&self.consumer, &positions)?;
        self.halt(halt);
        Ok(())
    }

    fn halt(&mut self, halt: Halt) {
        tracing::error!(%halt, "the consumer stops and waits");
        self.halted = Some(halt);
    }

    /// Waits a little, half of it by chance; a wish to stop ends it soon.
    fn back_off(&self, failures: usize) {
        let longest = BACK_OFF_MS
            .get(failures)
            .or(BACK_OFF_MS.last())
            .copied()
            .unwrap_or_default();
        let millis = longest / 2 + fastrand::u64(0..=longest / 2);
        std::thread::sleep(Duration::from_millis(millis));
    }
}

fn place(record: &Collected<'_>, kind: Kind) -> Place {
    Place {
        partition: record.partition,
        offset: record.message.offset(),
        kind,
    }
}

/// An error with all its causes, in one line.
struct Chain<'e>(&'e dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
