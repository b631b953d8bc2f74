//! Why a member takes no records on purpose: paused or halted.
//!
//! A halted member stays up and in its group. It does not exit: a restart policy would restart it, and the topic would drain
//! into the dead-letter topic after all.

use std::fmt;

use shared_events::member_api::PartitionOffsets;

use crate::handler::Handler;
use crate::librdkafka::positions;
use crate::librdkafka::undecodable::find_undecodable;
use crate::member::MemberError;
use crate::member::consumer_loop::ConsumerLoop;
use crate::topic_partitions::Partition;

/// A record's place on the broker, as logs and readiness name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordPlace {
    topic: String,
    partition: i32,
    offset: i64,
}

/// Why a member takes no records until it is resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// This number of poison records in a row, the last one at this place.
    PoisonLimit(u32, RecordPlace),
    /// The client cannot decode the record set at this place. `None` if the place could not be found.
    Undecodable(Option<RecordPlace>),
}

impl RecordPlace {
    /// As a condition of the member names it.
    pub(super) fn offsets(&self) -> PartitionOffsets {
        PartitionOffsets {
            topic: self.topic.clone(),
            partition: self.partition,
            first: Some(self.offset),
            last: None,
        }
    }
}

impl Halt {
    pub(super) fn place(&self) -> Option<&RecordPlace> {
        match self {
            Self::PoisonLimit(_, place) => Some(place),
            Self::Undecodable(place) => place.as_ref(),
        }
    }
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            partition,
            offset,
        } = self;
        write!(f, "{topic}/{partition} offset {offset}")
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAMAGED: &str =
            "is damaged or compressed by an unknown codec; POST /resume tries again";
        match self {
            Self::PoisonLimit(limit, last) => write!(
                f,
                "poison_limit: {limit} poison records in a row, the last at {last}; POST /resume goes on"
            ),
            Self::Undecodable(Some(place)) => {
                write!(f, "undecodable: the record set at {place} {DAMAGED}")
            }
            Self::Undecodable(None) => write!(f, "undecodable: a record set {DAMAGED}"),
        }
    }
}

impl<H: Handler> ConsumerLoop<H> {
    /// Pauses or resumes the partitions as configured, and ends a halt after a resume. Returns whether the member is paused.
    pub(super) fn apply_pause_state(&mut self) -> bool {
        let resumes = self.controls.resumes();
        if resumes != self.resumes {
            self.resumes = resumes;
            if let Some(halt) = self.halted.take() {
                tracing::info!(%halt, "resumed");
            }
            self.poison_run = 0;
        }
        let configured = self.controls.effective().paused || !self.controls.is_group_loaded();
        let pause = self.halted.is_some() || configured;
        self.metrics.paused.set(i64::from(pause));
        let waiting = self.waiting_now();
        self.consumer.set_paused(pause, &waiting);
        pause
    }

    pub(super) fn halt(&mut self, halt: Halt) {
        tracing::error!(%halt, "consumer halted until POST /resume");
        self.halted = Some(halt);
    }

    pub(super) fn halt_if_undecodable(&mut self) -> Result<(), MemberError> {
        if !self.undecodable || self.stop.is_cancelled() {
            return Ok(());
        }
        // The client has skipped the record set, so the member seeks back before it halts.
        let positions = positions(&self.consumer.client());
        let found = find_undecodable(&self.settings.kafka, self.consumer.names(), &positions);
        self.seek(&positions)?;
        let place = found.map(|(partition, offset)| self.place(partition, offset));
        self.halt(Halt::Undecodable(place));
        Ok(())
    }

    pub(super) fn place(&self, partition: Partition, offset: i64) -> RecordPlace {
        RecordPlace {
            topic: self.consumer.names().name(partition.topic).to_owned(),
            partition: partition.number,
            offset,
        }
    }
}

/// Before which record a partition is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(super) place: RecordPlace,
    /// What the record is.
    pub(super) record: String,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordPlace {
            topic,
            partition,
            offset,
        } = &self.place;
        write!(
            f,
            "partition {topic}/{partition} blocked at offset {offset} by POISON_POLICY=block: {}",
            self.record
        )
    }
}
