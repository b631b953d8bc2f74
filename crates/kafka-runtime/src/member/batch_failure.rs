//! Why a batch is retried: its cause, and where.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use shared_events::member_api::PartitionOffsets;

use crate::member::collect::BatchRange;
use crate::topic_partitions::{Partition, TopicNames};

/// Partitions of a batch that its cause names.
const SHOWN_PLACES: usize = 3;

/// Why the batch is retried, or why the client was replaced.
#[derive(Debug, Clone)]
pub(crate) struct BatchFailure {
    pub(super) cause: String,
    pub(super) partitions: Vec<PartitionOffsets>,
    /// The partitions of the batch.
    batch: Vec<Partition>,
    at: Instant,
}

/// How long after its failure a batch is expected to be collected again. Longer than a fetch takes after a seek.
const RETRIED_WITHIN: Duration = Duration::from_secs(5);

impl BatchFailure {
    /// A batch that failed for this cause.
    pub(super) fn of(range: &BatchRange, names: &TopicNames, cause: String) -> Self {
        let partitions: Vec<_> = range
            .starts
            .iter()
            .map(|(partition, first)| PartitionOffsets {
                topic: names.name(partition.topic).to_owned(),
                partition: partition.number,
                first: Some(*first),
                last: range.lasts.get(partition).copied(),
            })
            .collect();
        let places: Vec<String> = partitions.iter().take(SHOWN_PLACES).map(place).collect();
        let more = match partitions.len().saturating_sub(SHOWN_PLACES) {
            0 => String::new(),
            more => format!(" and {more} more partitions"),
        };
        Self {
            cause: format!("batch failing at {}{more}: {cause}", places.join(", ")),
            partitions,
            batch: range.starts.keys().copied().collect(),
            at: Instant::now(),
        }
    }

    /// Whether this member still retries the batch: another one does if none of its partitions is assigned here, and nobody does
    /// if its records were deleted meanwhile.
    pub(super) fn is_retried(&self, assigned: &BTreeSet<Partition>) -> bool {
        let is_assigned = self.batch.iter().any(|one| assigned.contains(one));
        is_assigned && self.at.elapsed() < RETRIED_WITHIN
    }

    /// The client was replaced, and no batch is committed since.
    pub(super) fn replaced() -> Self {
        Self {
            cause: "the consumer was replaced, and it begins at the committed offsets".to_owned(),
            partitions: Vec::new(),
            batch: Vec::new(),
            at: Instant::now(),
        }
    }
}

/// `payments/1 offsets 226 to 233`.
fn place(of: &PartitionOffsets) -> String {
    let PartitionOffsets {
        topic, partition, ..
    } = of;
    match (of.first, of.last) {
        (Some(first), Some(last)) if first < last => {
            format!("{topic}/{partition} offsets {first} to {last}")
        }
        (Some(first), _) => format!("{topic}/{partition} offset {first}"),
        (None, _) => format!("{topic}/{partition}"),
    }
}
