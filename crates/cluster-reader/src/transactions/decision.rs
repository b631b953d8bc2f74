//! Decisions in the values of the coordinators' log.
//!
//! The format is Kafka's `TransactionLogValue.json`, versions 0 and 1.

use super::{OpenTransaction, Outcome, OutcomeUnknown, RecordedOutcome, time};
use crate::protocol::byte_reader::ByteReader;
use crate::snapshot::TopicPartition;

/// How far the clocks of producer and coordinator may be apart, milliseconds.
pub(super) const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// Values of `TransactionStatus` in the log.
const PREPARE_COMMIT: u8 = 2;
const PREPARE_ABORT: u8 = 3;
const PREPARE_EPOCH_FENCE: u8 = 7;

/// A decided transaction, from a record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    outcome: Outcome,
    epoch: i16,
    /// Milliseconds.
    started: i64,
    /// Milliseconds.
    decided: i64,
    partitions: Vec<TopicPartition>,
}

/// The decision about an open transaction: the last one that names its partition.
pub(super) fn outcome(
    decisions: &[Decision],
    open: &OpenTransaction,
) -> Result<RecordedOutcome, OutcomeUnknown> {
    // The epoch bump of KIP-890 is part of the decision.
    let epochs = [open.producer_epoch, open.producer_epoch.saturating_add(1)];
    let last = decisions
        .iter()
        .filter(|one| epochs.contains(&one.epoch) && one.partitions.contains(&open.partition))
        .max_by_key(|one| one.decided)
        .ok_or(OutcomeUnknown::NotRecorded)?;
    let written = open.last_write.timestamp_millis();
    let decided_at = time(last.decided);
    let during = last.started.saturating_sub(CLOCK_TOLERANCE_MS)
        ..=last.decided.saturating_add(CLOCK_TOLERANCE_MS);
    if !during.contains(&written) {
        let last_write = open.last_write;
        return Err(OutcomeUnknown::OtherTime {
            decided_at,
            last_write,
        });
    }
    Ok(RecordedOutcome {
        outcome: last.outcome,
        decided_at,
        marker_epoch: last.epoch,
    })
}

/// The decision in a value of the log, if it is one of this producer. `None` also for a version
/// that this program does not know: then no outcome is found, and none is guessed.
pub(super) fn decision(value: &[u8], producer_id: i64) -> Option<Decision> {
    let mut reader = ByteReader(value);
    let version = reader.int16()?;
    if !(0..=1).contains(&version) || reader.int64()? != producer_id {
        return None;
    }
    let flexible = version == 1;
    let epoch = reader.int16()?;
    let _timeout = reader.int32()?;
    let outcome = match reader.byte()? {
        PREPARE_COMMIT => Outcome::Committed,
        PREPARE_ABORT | PREPARE_EPOCH_FENCE => Outcome::Aborted,
        _ => return None,
    };
    let mut partitions = Vec::new();
    for _ in 0..length(&mut reader, flexible, Width::Four)? {
        let name = length(&mut reader, flexible, Width::Two)?;
        let topic = String::from_utf8(reader.take(name)?.to_vec()).ok()?;
        for _ in 0..length(&mut reader, flexible, Width::Four)? {
            partitions.push(TopicPartition {
                topic: topic.clone(),
                partition: reader.int32()?,
            });
        }
        if flexible {
            skip_tagged_fields(&mut reader)?;
        }
    }
    Some(Decision {
        outcome,
        epoch,
        decided: reader.int64()?,
        started: reader.int64()?,
        partitions,
    })
}

/// The width of a length in a version that is not flexible.
enum Width {
    Two,
    Four,
}

/// The length of a string or an array; 0 for one that is null. Flexible versions (KIP-482) store
/// the length + 1 as a varint.
fn length(reader: &mut ByteReader<'_>, flexible: bool, width: Width) -> Option<usize> {
    if flexible {
        return usize::try_from(reader.varuint()?.saturating_sub(1)).ok();
    }
    let length = match width {
        Width::Two => reader.int16()?.into(),
        Width::Four => reader.int32()?,
    };
    Some(usize::try_from(length).unwrap_or(0))
}

fn skip_tagged_fields(reader: &mut ByteReader<'_>) -> Option<()> {
    for _ in 0..reader.varuint()? {
        let _tag = reader.varuint()?;
        let length = usize::try_from(reader.varuint()?).ok()?;
        reader.take(length)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::TransactionStatus;

    fn payments(partition: i32) -> TopicPartition {
        TopicPartition {
            topic: "payments".to_owned(),
            partition,
        }
    }

    fn open(last_write_ms: i64) -> OpenTransaction {
        OpenTransaction {
            partition: payments(2),
            producer_id: 7,
            producer_epoch: 3,
            coordinator_epoch: 0,
            start_offset: 10,
            last_write: time(last_write_ms),
            transactional_id: None,
            status: TransactionStatus::Hanging,
        }
    }

    /// A value of version 0: producer 7, epoch 3, partitions 1 and 2 of payments.
    fn value(status: u8, decided: i64, started: i64) -> Vec<u8> {
        let mut value = vec![0, 0];
        value.extend(7i64.to_be_bytes());
        value.extend(3i16.to_be_bytes());
        value.extend(10_000i32.to_be_bytes());
        value.push(status);
        value.extend(1i32.to_be_bytes());
        value.extend(8i16.to_be_bytes());
        value.extend(b"payments");
        value.extend(2i32.to_be_bytes());
        value.extend(1i32.to_be_bytes());
        value.extend(2i32.to_be_bytes());
        value.extend(decided.to_be_bytes());
        value.extend(started.to_be_bytes());
        value
    }

    /// The same value in version 1, with an unknown tagged field in the partitions.
    fn flexible(status: u8, decided: i64, started: i64) -> Vec<u8> {
        let mut value = vec![0, 1];
        value.extend(7i64.to_be_bytes());
        value.extend(3i16.to_be_bytes());
        value.extend(10_000i32.to_be_bytes());
        value.push(status);
        value.push(2);
        value.push(9);
        value.extend(b"payments");
        value.push(3);
        value.extend(1i32.to_be_bytes());
        value.extend(2i32.to_be_bytes());
        value.extend([1, 5, 2, 0xff, 0xff]);
        value.extend(decided.to_be_bytes());
        value.extend(started.to_be_bytes());
        value.extend([1, 2, 2, 0, 2]);
        value
    }

    #[test]
    fn decisions_of_one_producer_are_read_in_both_versions() {
        for value in [value(2, 5_000, 4_000), flexible(2, 5_000, 4_000)] {
            let expected = Decision {
                outcome: Outcome::Committed,
                epoch: 3,
                started: 4_000,
                decided: 5_000,
                partitions: vec![payments(1), payments(2)],
            };
            assert_eq!(decision(&value, 7), Some(expected));
            assert_eq!(decision(&value, 8), None);
        }
        let aborted = decision(&value(3, 5_000, 4_000), 7).unwrap();
        assert_eq!(aborted.outcome, Outcome::Aborted);
        for undecided in [0, 1, 4, 5, 6] {
            assert_eq!(decision(&value(undecided, 5_000, 4_000), 7), None);
        }
        assert_eq!(decision(&[0, 2, 0], 7), None);
    }

    #[test]
    fn the_last_decision_about_the_partition_counts() {
        let decided = |status, at| decision(&value(status, at, at - 1_000), 7).unwrap();
        let decisions = [decided(2, 1_000_000), decided(3, 1_005_000)];
        let found = outcome(&decisions, &open(1_004_500)).unwrap();
        assert_eq!(found.outcome, Outcome::Aborted);
        assert_eq!(found.decided_at, time(1_005_000));
        let found = outcome(&decisions[..1], &open(999_900)).unwrap();
        assert_eq!(found.outcome, Outcome::Committed);
    }

    #[test]
    fn no_outcome_is_guessed() {
        let decisions = [decision(&value(2, 1_000_000, 999_000), 7).unwrap()];
        let late = outcome(&decisions, &open(1_100_000)).unwrap_err();
        assert!(matches!(late, OutcomeUnknown::OtherTime { .. }));
        assert_eq!(outcome(&[], &open(1_000)), Err(OutcomeUnknown::NotRecorded));
        let other = OpenTransaction {
            partition: payments(0),
            ..open(999_500)
        };
        assert_eq!(
            outcome(&decisions, &other),
            Err(OutcomeUnknown::NotRecorded)
        );
        let newer_producer = OpenTransaction {
            producer_epoch: 5,
            ..open(999_500)
        };
        assert_eq!(
            outcome(&decisions, &newer_producer),
            Err(OutcomeUnknown::NotRecorded)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let _ = decision(&value, 7);
        }
    }
}
