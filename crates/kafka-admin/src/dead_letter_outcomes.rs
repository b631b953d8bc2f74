//! Outcome records: what was done with single dead letters.
//!
//! The committed position of a replay says that the dead letters before it were processed. It cannot
//! say that one of them was refused, or that one after it was discarded. An outcome record says
//! that. It is in the partition of its dead letter, so it is deleted later than the dead letter,
//! and with the topic.
//!
//! A dead letter is never read as an outcome record, whatever headers its poison record had: a
//! service adds [`ORIGINAL_TOPIC`] to each dead letter, and an outcome record has no such header.

use std::collections::{BTreeMap, BTreeSet};
use std::str;

use shared_events::headers::dead_letter::{ORIGINAL_TOPIC, OUTCOME, OUTCOME_OFFSET};

use crate::records::Record;

/// What was done with a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A replay refused it and went on. It still waits.
    Refused,
    /// A later replay published it.
    Replayed,
    /// A person discarded it.
    Discarded,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Refused, Self::Replayed, Self::Discarded];

    const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }
}

/// An outcome record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutcomeRecord {
    /// The offset of the dead letter.
    pub(crate) offset: i64,
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<String>,
    /// When it was written, milliseconds since 1970.
    pub(crate) at_ms: Option<i64>,
}

/// The last outcome record of each dead letter, by partition and offset.
pub(crate) type Outcomes = BTreeMap<(i32, i64), OutcomeRecord>;

impl OutcomeRecord {
    /// Reads a record of a dead-letter topic; `None` if it is no outcome record.
    pub(crate) fn read(record: &Record) -> Option<Self> {
        let value = |name: &str| {
            let mut named = record.header_pairs().filter(|(found, _)| *found == name);
            named.next_back().and_then(|(_, value)| value)
        };
        let outcome = value(OUTCOME)?;
        let is_dead_letter = record
            .header_pairs()
            .any(|(name, _)| name == ORIGINAL_TOPIC);
        if is_dead_letter {
            return None;
        }
        let mut known = Outcome::ALL.into_iter();
        let reason = record.value.as_deref();
        Some(Self {
            offset: str::from_utf8(value(OUTCOME_OFFSET)?).ok()?.parse().ok()?,
            outcome: known.find(|one| one.name().as_bytes() == outcome)?,
            reason: reason.map(|reason| String::from_utf8_lossy(reason).into_owned()),
            at_ms: record.timestamp_ms,
        })
    }

    /// The headers of an outcome record. Its value is the reason.
    pub(crate) fn header_pairs(outcome: Outcome, offset: i64) -> [(&'static str, String); 2] {
        [
            (OUTCOME, outcome.name().to_owned()),
            (OUTCOME_OFFSET, offset.to_string()),
        ]
    }
}

/// Separates the outcome records from the dead letters. The records of a partition must be in
/// order.
pub(crate) fn split_outcomes(records: Vec<Record>) -> (Vec<Record>, Outcomes) {
    let (mut dead_letters, mut outcomes) = (Vec::new(), Outcomes::new());
    for record in records {
        match OutcomeRecord::read(&record) {
            Some(outcome) => {
                outcomes.insert((record.partition, outcome.offset), outcome);
            }
            None => dead_letters.push(record),
        }
    }
    (dead_letters, outcomes)
}

/// The position after the records of which an outcome is known, for each partition in which it
/// moves. Each record is a partition, an offset, and the offset that it is the outcome of.
pub(crate) fn position_past_outcomes(
    mut records: Vec<(i32, i64, Option<i64>)>,
) -> BTreeMap<i32, i64> {
    records.sort_unstable();
    let of = |(partition, _, of): &(i32, i64, Option<i64>)| Some((*partition, (*of)?));
    let known: BTreeSet<(i32, i64)> = records.iter().filter_map(of).collect();
    let (mut next, mut ended) = (BTreeMap::new(), BTreeSet::new());
    for (partition, offset, of) in records {
        if of.is_none() && !known.contains(&(partition, offset)) {
            ended.insert(partition);
        }
        if !ended.contains(&partition) {
            next.insert(partition, offset + 1);
        }
    }
    next
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An outcome record at this offset, about the dead letter at `of`.
    pub(crate) fn outcome_record(partition: i32, offset: i64, of: i64, outcome: Outcome) -> Record {
        let headers = OutcomeRecord::header_pairs(outcome, of);
        let headers = headers.map(|(name, value)| (name.to_owned(), Some(value.into_bytes())));
        Record {
            topic: "inventory.dlq".to_owned(),
            partition,
            offset,
            timestamp_ms: Some(5),
            key: None,
            headers: Some(headers.into()),
            value: Some(b"why".to_vec()),
        }
    }

    #[test]
    fn the_last_outcome_of_a_dead_letter_counts() {
        let records = vec![
            outcome_record(0, 4, 1, Outcome::Refused),
            outcome_record(0, 5, 2, Outcome::Refused),
            outcome_record(0, 6, 1, Outcome::Discarded),
            outcome_record(1, 3, 1, Outcome::Replayed),
        ];
        let (dead_letters, outcomes) = split_outcomes(records);
        assert_eq!(dead_letters, []);
        let found: Vec<_> = outcomes
            .iter()
            .map(|(at, one)| (*at, one.outcome))
            .collect();
        let expected = [
            ((0, 1), Outcome::Discarded),
            ((0, 2), Outcome::Refused),
            ((1, 1), Outcome::Replayed),
        ];
        assert_eq!(found, expected);
        assert_eq!(outcomes[&(0, 1)].reason.as_deref(), Some("why"));
    }

    #[test]
    fn a_dead_letter_with_forged_headers_is_no_outcome_record() {
        let mut forged = outcome_record(0, 4, 1, Outcome::Discarded);
        let origin = (ORIGINAL_TOPIC.to_owned(), Some(b"payments".to_vec()));
        forged.headers.as_mut().unwrap().push(origin);
        assert_eq!(OutcomeRecord::read(&forged), None);
    }

    #[test]
    fn an_invalid_outcome_record_is_none() {
        for (outcome, offset) in [("other", "1"), ("refused", "x"), ("refused", "")] {
            let mut record = outcome_record(0, 4, 1, Outcome::Refused);
            record.headers = Some(vec![
                (OUTCOME.to_owned(), Some(outcome.into())),
                (OUTCOME_OFFSET.to_owned(), Some(offset.into())),
            ]);
            assert_eq!(OutcomeRecord::read(&record), None, "{outcome} {offset}");
        }
        let mut record = outcome_record(0, 4, 1, Outcome::Refused);
        record.headers = None;
        assert_eq!(OutcomeRecord::read(&record), None);
    }

    #[test]
    fn the_position_ends_at_the_first_dead_letter_without_an_outcome() {
        let dead_letter = |offset| (0, offset, None);
        let outcome = |offset, of| (0, offset, Some(of));
        let next = |records: &[_]| position_past_outcomes(records.to_vec()).get(&0).copied();
        assert_eq!(next(&[]), None);
        assert_eq!(next(&[outcome(4, 1)]), Some(5));
        assert_eq!(
            next(&[dead_letter(4), outcome(5, 4), outcome(7, 2)]),
            Some(8)
        );
        assert_eq!(next(&[dead_letter(4), outcome(5, 1)]), None);
        assert_eq!(
            next(&[outcome(4, 1), dead_letter(5), outcome(6, 2)]),
            Some(5)
        );
    }
}
