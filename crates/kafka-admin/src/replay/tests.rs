//! How the dead letters of a replay are put into transactions and taken apart. Pure.

use super::*;
use crate::dead_letters::DeadLetterHeaders;
use crate::replay_decision::tests::{dead_letter_record, targets};

fn waiting(offset: i64, value_bytes: usize) -> DeadLetter {
    let record = dead_letter_record(0, offset, &vec![0; value_bytes]);
    let headers = DeadLetterHeaders::from_pairs(record.header_pairs());
    let headers = headers.map_err(|error| error.to_string());
    let decision = targets(1_048_576).decide(&record, &headers);
    DeadLetter {
        state: DeadLetterState::Waiting(decision),
        record,
        headers,
    }
}

fn offsets(batch: &[DeadLetter]) -> Vec<i64> {
    batch.iter().map(|one| one.record.offset).collect()
}

#[test]
fn a_transaction_is_bounded_by_its_records_and_by_their_bytes() {
    let small = batches((0..450).map(|offset| waiting(offset, 1)).collect());
    let lengths: Vec<usize> = small.iter().map(Vec::len).collect();
    assert_eq!(lengths, [200, 200, 50]);
    let large = batches((0..20).map(|offset| waiting(offset, 1 << 20)).collect());
    let lengths: Vec<usize> = large.iter().map(Vec::len).collect();
    assert_eq!(lengths, [8, 8, 4]);
    let order: Vec<i64> = large.iter().flat_map(|batch| offsets(batch)).collect();
    assert_eq!(order, (0..20).collect::<Vec<i64>>());
    assert!(batches(Vec::new()).is_empty());
}

/// The broker refuses each transaction that holds one of these offsets.
fn replay_with_refusals(refused: &[i64], count: i64) -> (Vec<i64>, Vec<i64>, usize) {
    let mut batches = batches((0..count).map(|offset| waiting(offset, 1)).collect());
    let (mut replayed, mut found, mut transactions) = (Vec::new(), Vec::new(), 0);
    while let Some(batch) = batches.pop_front() {
        transactions += 1;
        let fails = |one: &DeadLetter| is_replayed(one) && refused.contains(&one.record.offset);
        if batch.iter().any(fails) {
            for part in isolate(batch, "too large").unwrap().into_iter().rev() {
                batches.push_front(part);
            }
            continue;
        }
        for one in batch {
            match one.refusal() {
                None => replayed.push(one.record.offset),
                Some(reason) => {
                    assert_eq!(reason, "the broker refuses the record: too large");
                    found.push(one.record.offset);
                }
            }
        }
    }
    (replayed, found, transactions)
}

#[test]
fn a_record_that_the_broker_refuses_is_found_and_the_others_are_replayed() {
    for refused in [
        &[][..],
        &[0],
        &[199],
        &[200],
        &[3, 4, 5],
        &[0, 57, 199, 219],
    ] {
        let (replayed, found, transactions) = replay_with_refusals(refused, 220);
        assert_eq!(found, refused);
        let expected: Vec<i64> = (0..220).filter(|one| !refused.contains(one)).collect();
        assert_eq!(replayed, expected, "in order");
        assert!(transactions <= 2 + 20 * refused.len(), "{transactions}");
    }
    let all: Vec<i64> = (0..20).collect();
    assert_eq!(replay_with_refusals(&all, 20).1, all);
}

#[test]
fn a_transaction_without_a_sent_record_cannot_be_taken_apart() {
    let mut one = waiting(0, 1);
    one.state = DeadLetterState::Waiting(ReplayDecision::Refuse("why".to_owned()));
    assert!(isolate(vec![one], "too large").is_none());
    assert!(isolate(Vec::new(), "too large").is_none());
}

#[test]
fn the_position_never_moves_back_to_what_was_refused_before() {
    let position = ReplayPosition::from([(0, 5)]);
    let batch = [waiting(1, 1), waiting(3, 1)];
    assert!(next_position(&position, &batch).is_empty());
    let batch = [waiting(1, 1), waiting(7, 1), waiting(9, 1)];
    let expected = ReplayPosition::from([(0, 10)]);
    assert_eq!(next_position(&position, &batch), expected);
    assert_eq!(
        next_position(&ReplayPosition::new(), &batch[..1]),
        ReplayPosition::from([(0, 2)])
    );
}

#[test]
fn an_outage_is_not_the_fault_of_a_record() {
    let of = |code| is_refused_record(&KafkaError::MessageProduction(code));
    assert!(of(RDKafkaErrorCode::MessageSizeTooLarge) && of(RDKafkaErrorCode::InvalidTimestamp));
    assert!(!of(RDKafkaErrorCode::BrokerTransportFailure) && !of(RDKafkaErrorCode::Fenced));
}
