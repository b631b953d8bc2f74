//! One turn of a member.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rdkafka::consumer::Consumer;
use shared_events::Topic;

use crate::faults::{CrashPoint, Protection};
use crate::handler::Handler;
use crate::member::MemberError;
use crate::member::batch::{Offsets, collect, positions};
use crate::member::halt::{Halt, find_undecodable};
use crate::member::process::{Done, Failed};
use crate::member::rewind::seek;
use crate::member::standing::Loop;
use crate::member::verdict::read;
use crate::metrics::FailedIn;
use crate::settings::PoisonPolicy;
use crate::settle::Unsettled;

/// Waits after the first, second … failure in a row. Half of each is chance, so that members do not try in step.
const BACK_OFF_MS: [u64; 5] = [50, 100, 200, 500, 1_000];

impl<H: Handler> Loop<H> {
    /// The delivery guarantee, from top to bottom.
    pub(super) fn turn(&mut self) -> Result<(), MemberError> {
        let consumer = Arc::clone(&self.consumer);
        // Read here and nowhere else: for one batch, one setting.
        let wanted = self.controls.in_force();
        let most = wanted.batch_max as usize;
        let batch = collect(&consumer, most, &self.settings.faults, |message| {
            read(&self.handler, &self.group, message)
        })?;
        let assigned = consumer.context().assigned();
        self.metrics.assigned.set(assigned.len() as i64);
        self.blocked
            .retain(|partition, _| assigned.contains(partition));
        let undecodable = batch.undecodable;
        if batch.records.is_empty() {
            self.idle()?;
        } else {
            self.settings.faults.pass(CrashPoint::BatchCollected);
            self.controls.applied(&wanted);
            let (taken, at) = (Instant::now(), SystemTime::now());
            if !self.simulate_work(&batch, wanted.processing_time_ms) {
                return Ok(());
            }
            let starts = batch.starts();
            match self.process(batch, at) {
                Ok(done) => self.go_on(&starts, done, taken.elapsed())?,
                Err(failed) => self.come_again(starts, failed)?,
            }
        }
        if undecodable {
            self.halt_before_undecodable()?;
        }
        Ok(())
    }

    /// After a batch is settled: what was left out of it comes again, and a run of poison at its limit halts the member.
    fn go_on(&mut self, starts: &Offsets, done: Done, took: Duration) -> Result<(), MemberError> {
        self.connection.reached();
        self.failures = 0;
        self.run_of_poison = done.plan.run;
        self.blocked
            .retain(|partition, _| !starts.contains_key(partition));
        if self.settings.consumer.poison_policy == PoisonPolicy::Block {
            self.blocked.extend(&done.plan.left_out);
        }
        self.metrics
            .settled(&done.records, done.effect, done.settle, took);
        self.controls.settled(done.records.values().sum());
        self.seek(&done.plan.left_out)?;
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
        } else if !done.plan.left_out.is_empty() {
            self.back_off(0);
        }
        Ok(())
    }

    /// The one failure path. Nothing was settled; what is still ours of the batch is read again.
    fn come_again(&mut self, starts: Offsets, failed: Failed) -> Result<(), MemberError> {
        let stage = match &failed {
            Failed::Settle(Unsettled::SlotTaken) => return Err(MemberError::SlotTaken),
            Failed::Settle(Unsettled::GroupMoved(_)) => FailedIn::Group,
            // Reading the batch again could tell it twice, and going on could skip it. The committed offsets tell which, and a new
            // consumer begins at them; the broker holds them back from it until the transaction has ended one way or the other.
            Failed::Settle(unknown @ (Unsettled::Unknown(_) | Unsettled::NotAnswered)) => {
                self.metrics.failed(FailedIn::Settle);
                tracing::warn!(cause = %Chain(unknown), "whether the batch is settled is not known");
                return self.renew_consumer("a commit is not answered");
            }
            Failed::Settle(Unsettled::Failed(_)) => FailedIn::Settle,
            Failed::Effect(_) => FailedIn::Effect,
        };
        self.metrics.failed(stage);
        if self.settings.faults.keeps(Protection::SeekBack) {
            self.seek(&starts)?;
        }
        if stage == FailedIn::Group {
            // It happens whenever members come and go: no reason to wait.
            tracing::info!(cause = %Chain(&failed), "the group moved on; the batch comes again");
            return Ok(());
        }
        let topics: BTreeSet<Topic> = starts.keys().map(|partition| partition.topic).collect();
        topics
            .into_iter()
            .for_each(|topic| self.metrics.error(topic));
        tracing::warn!(cause = %Chain(&failed), "the batch comes again");
        self.back_off(self.failures);
        self.failures += 1;
        Ok(())
    }

    fn halt_before_undecodable(&mut self) -> Result<(), MemberError> {
        // The client has passed over the damaged record set already: it must be read again, whoever mends it.
        let positions = positions(&self.consumer);
        let names = self.consumer.context().names();
        let halt = find_undecodable(&self.settings.kafka, names, &positions);
        self.seek(&positions)?;
        self.halt(halt);
        Ok(())
    }

    /// A partition that cannot be sought back would skip records for ever. A new consumer begins where the group stands.
    fn seek(&mut self, to: &Offsets) -> Result<(), MemberError> {
        match seek(&self.consumer, to) {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "not sought back");
                self.renew_consumer("a partition cannot be sought back")
            }
        }
    }

    fn halt(&mut self, halt: Halt) {
        tracing::error!(%halt, "the consumer stops and waits");
        self.halted = Some(halt);
    }

    /// Waits a little, half of it by chance. A second at most, so that a wish to stop is heard soon.
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

/// An error with all its causes, in one line.
pub(super) struct Chain<'e>(pub(super) &'e dyn std::error::Error);

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
