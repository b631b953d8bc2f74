//! Reads the coordinators' log, the topic `__transaction_state`.

use kafka_protocol::messages::{FetchRequest, MetadataRequest};

use super::OpenTransaction;
use super::decision::{CLOCK_TOLERANCE_MS, Decision, decision};
use crate::error::ReadError;
use crate::protocol::brokers::{BrokerId, Brokers, Topics, by_leader};
use crate::protocol::byte_reader::ByteReader;
use crate::protocol::record_batch::Batches;
use crate::reader::{fetch_records, log_offsets};
use crate::snapshot::TopicPartition;

const TOPIC: &str = "__transaction_state";

const FETCH_BYTES: i32 = 1 << 20;

/// The decisions about this producer that were logged since shortly before its last record.
///
/// All partitions of the log are read, since a producer that no coordinator knows any more has no
/// transactional id that would name one.
pub(super) async fn decisions(
    brokers: &mut Brokers,
    topics: &Topics,
    open: &OpenTransaction,
) -> Result<Vec<Decision>, ReadError> {
    let log = topics.get(TOPIC).into_iter();
    let partitions = log.flat_map(|topic| &topic.partitions);
    let partitions = partitions.map(|one| TopicPartition {
        topic: TOPIC.to_owned(),
        partition: one.partition_index,
    });
    let call = brokers.call::<MetadataRequest>(-1);
    let by_leader = by_leader(call, topics, partitions)?;
    // A negative timestamp has a meaning of its own in the request.
    let from = (open.last_write.timestamp_millis() - CLOCK_TOLERANCE_MS).max(0);
    let mut decisions = Vec::new();
    for (leader, partitions) in by_leader {
        let starts = log_offsets::offsets(brokers, leader, &partitions, from, 0).await?;
        // -1: the partition has no record from that time on.
        for (at, start) in starts.into_iter().filter(|(_, start)| *start >= 0) {
            read(brokers, leader, topics, &at, start, |value| {
                decisions.extend(decision(value, open.producer_id));
            })
            .await?;
        }
    }
    Ok(decisions)
}

/// Reads a partition of the log from `start` to its end, and hands on each value.
async fn read(
    brokers: &mut Brokers,
    leader: BrokerId,
    topics: &Topics,
    at: &TopicPartition,
    start: i64,
    mut value: impl FnMut(&[u8]),
) -> Result<(), ReadError> {
    let mut next = start;
    loop {
        let position = std::iter::once((at, next, FETCH_BYTES));
        let request = fetch_records::request(topics, position);
        let response = brokers.send(leader, &request).await?;
        let received = fetch_records::partitions(brokers, leader, topics, &response)?;
        let call = brokers.call::<FetchRequest>(leader);
        let Some((_, answer)) = received.first() else {
            return Err(call.incomplete(at.to_string(), "it is not in the answer"));
        };
        let records = answer.records.as_deref().unwrap_or_default();
        let before = next;
        for batch in Batches::new(records) {
            next = batch.last.saturating_add(1);
            if batch.is_control() {
                continue;
            }
            if batch.codec() != 0 || for_each_value(batch.body, batch.count, &mut value).is_none() {
                return Err(call.unreadable(format!("{at} offset {}", batch.base)));
            }
        }
        if next >= answer.high_watermark {
            return Ok(());
        }
        if next == before {
            return Err(fetch_records::no_progress(brokers, leader, Some(at)));
        }
    }
}

/// Hands on the value of each record of a batch; tombstones are left out. `None` if the bytes end
/// early.
fn for_each_value(body: &[u8], count: i32, value: &mut impl FnMut(&[u8])) -> Option<()> {
    let mut reader = ByteReader(body);
    for _ in 0..count {
        let length = usize::try_from(reader.varint()?).ok()?;
        let mut record = ByteReader(reader.take(length)?);
        record.byte()?;
        record.varint()?;
        record.varint()?;
        let key = usize::try_from(record.varint()?).unwrap_or(0);
        record.take(key)?;
        if let Ok(length) = usize::try_from(record.varint()?) {
            value(record.take(length)?);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_batch_are_read_and_tombstones_are_left_out() {
        // length, attributes, timestamp, offset, key (1 byte), value; lengths are zigzag varints.
        let body = [
            16, 0, 0, 0, 2, b'k', 2, b'v', 0, //
            14, 0, 0, 2, 2, b'k', 1, 0,
        ];
        let mut values = Vec::new();
        let mut push = |value: &[u8]| values.push(value.to_vec());
        assert_eq!(for_each_value(&body, 2, &mut push), Some(()));
        assert_eq!(for_each_value(&body[..8], 1, &mut |_| {}), None);
        assert_eq!(values, [b"v"]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let _ = for_each_value(&body, 3, &mut |_| {});
        }
    }
}
