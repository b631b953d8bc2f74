//! The parser of a classic group member's assignment (Kafka's `ConsumerProtocolAssignment`). The
//! workspace has no second one. A KIP-848 group needs no parser: the broker sends names and numbers.
//!
//! The bytes come from a client, the leader of the group, and may be invalid. The parser never
//! panics, and reads invalid bytes as far as they make sense. It reads topic names of at most 249
//! bytes, and at most 10 000 partitions for a member. kafka-protocol's own decoder allocates by the
//! counts in the bytes, so one invalid assignment could abort the process.

use super::byte_reader::ByteReader;
use crate::snapshot::TopicPartition;

/// Kafka's `Topic.MAX_NAME_LENGTH`, in bytes.
const NAME_LIMIT: usize = 249;
/// The most partitions of a member.
const PARTITION_LIMIT: usize = 10_000;

/// The assigned partitions, sorted and without duplicates.
pub(crate) fn partitions(bytes: &[u8]) -> Vec<TopicPartition> {
    let mut assigned = Vec::new();
    let mut reader = ByteReader(bytes);
    if let (Some(_version), Some(topics)) = (reader.int16(), reader.int32()) {
        for _ in 0..topics {
            if topic(&mut reader, &mut assigned).is_none() {
                break;
            }
        }
    }
    assigned.sort();
    assigned.dedup();
    assigned
}

fn topic(reader: &mut ByteReader, assigned: &mut Vec<TopicPartition>) -> Option<()> {
    let length = usize::try_from(reader.int16()?).ok()?;
    let topic = std::str::from_utf8(reader.take(length)?).ok()?;
    let count = reader.int32()?;
    if length > NAME_LIMIT {
        return None;
    }
    for _ in 0..count {
        let partition = reader.int32()?;
        if assigned.len() == PARTITION_LIMIT {
            return None;
        }
        assigned.push(TopicPartition {
            topic: topic.to_owned(),
            partition,
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = 1i16.to_be_bytes().to_vec();
        bytes.extend((topics.len() as i32).to_be_bytes());
        for (name, partitions) in topics {
            bytes.extend((name.len() as i16).to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            let numbers = partitions.iter().flat_map(|number| number.to_be_bytes());
            bytes.extend(numbers);
        }
        bytes.extend((-1i32).to_be_bytes());
        bytes
    }

    fn at(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: topic.to_owned(),
            partition,
        }
    }

    #[test]
    fn the_partitions_of_an_assignment_are_read_in_order() {
        let bytes = encoded(&[("orders", &[2, 0]), ("payments", &[]), ("inventory", &[1])]);
        let expected = [at("inventory", 1), at("orders", 0), at("orders", 2)];
        assert_eq!(partitions(&bytes), expected);
    }

    #[test]
    fn a_count_of_billions_in_an_assignment_allocates_nothing() {
        let mut bytes = encoded(&[("orders", &[7])]);
        bytes[2..6].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(partitions(&bytes), [at("orders", 7)]);
        bytes[14..18].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(partitions(&bytes).capacity() < 64);
    }

    #[test]
    fn a_long_name_with_many_partitions_is_not_repeated_for_each() {
        let numbers: Vec<i32> = (0..50_000).collect();
        assert_eq!(
            partitions(&encoded(&[("orders", &numbers)])).len(),
            PARTITION_LIMIT
        );
        assert_eq!(partitions(&encoded(&[(&"x".repeat(30_000), &numbers)])), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(partitions(&bytes).len() * 4 <= bytes.len());
        }

        #[test]
        fn an_assignment_that_is_cut_off_is_read_up_to_the_cut(cut in 0usize..64) {
            let bytes = encoded(&[("orders", &[2, 0]), ("payments", &[5])]);
            let all = partitions(&bytes);
            let cut = partitions(&bytes[..cut.min(bytes.len())]);
            prop_assert!(cut.iter().all(|one| all.contains(one)));
        }
    }
}
