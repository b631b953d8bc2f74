//! What a member of a classic group was assigned. The group's leader wrote these bytes, so they may be anything.

use crate::input::Input;
use crate::snapshot::TopicPartition;

/// Longest name of a topic, bytes (Kafka's `Topic.MAX_NAME_LENGTH`).
const NAME_LIMIT: usize = 249;
/// More partitions than a member can read.
const PARTITION_LIMIT: usize = 10_000;

/// Reads Kafka's `ConsumerProtocolAssignment`: version, then topics with their partitions. Bytes of another shape are read as
/// far as they make sense. Counts are not believed, and a long name that many partitions repeat costs nothing: names and partitions
/// are limited.
pub(crate) fn partitions(bytes: &[u8]) -> Vec<TopicPartition> {
    let mut owned = Vec::new();
    let mut input = Input(bytes);
    if let (Some(_version), Some(topics)) = (input.int16(), input.int32()) {
        for _ in 0..topics {
            if topic(&mut input, &mut owned).is_none() {
                break;
            }
        }
    }
    owned.sort();
    owned.dedup();
    owned
}

fn topic(input: &mut Input, owned: &mut Vec<TopicPartition>) -> Option<()> {
    let length = usize::try_from(input.int16()?).ok()?;
    let topic = std::str::from_utf8(input.take(length)?).ok()?;
    let count = input.int32()?;
    if length > NAME_LIMIT {
        return None;
    }
    for _ in 0..count {
        let partition = input.int32()?;
        if owned.len() == PARTITION_LIMIT {
            return None;
        }
        owned.push(TopicPartition {
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

    fn written(topics: &[(&str, &[i32])]) -> Vec<u8> {
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
    fn a_member_owns_what_its_assignment_says() {
        let bytes = written(&[("orders", &[2, 0]), ("payments", &[]), ("inventory", &[1])]);
        let expected = [at("inventory", 1), at("orders", 0), at("orders", 2)];
        assert_eq!(partitions(&bytes), expected);
    }

    #[test]
    fn a_count_of_billions_in_an_assignment_allocates_nothing() {
        let mut bytes = written(&[("orders", &[7])]);
        bytes[2..6].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(partitions(&bytes), [at("orders", 7)]);
        bytes[14..18].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(partitions(&bytes).capacity() < 64);
    }

    #[test]
    fn a_long_name_with_many_partitions_is_not_repeated_for_each() {
        let numbers: Vec<i32> = (0..50_000).collect();
        assert_eq!(
            partitions(&written(&[("orders", &numbers)])).len(),
            PARTITION_LIMIT
        );
        assert_eq!(partitions(&written(&[(&"x".repeat(30_000), &numbers)])), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_assignment_or_none_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(partitions(&bytes).len() * 4 <= bytes.len());
        }

        #[test]
        fn an_assignment_cut_anywhere_gives_what_lies_before_the_cut(cut in 0usize..64) {
            let bytes = written(&[("orders", &[2, 0]), ("payments", &[5])]);
            let all = partitions(&bytes);
            let cut = partitions(&bytes[..cut.min(bytes.len())]);
            prop_assert!(cut.iter().all(|one| all.contains(one)));
        }
    }
}
