//! The partition of a key: Kafka's default partitioner, which Java's clients and ours share.

/// The partition of a key in a topic with this number of partitions. Another number of partitions
/// changes the partition of most keys. 0 if there are no partitions.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff)
        .checked_rem(partitions)
        .unwrap_or(0)
}

/// MurmurHash2 with Kafka's seed, as in `org.apache.kafka.common.utils.Utils`.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let (words, rest) = bytes.as_chunks::<4>();
    // A key is smaller than 4 GiB.
    let mut hash = SEED ^ bytes.len() as u32;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev();
        hash ^= tail.fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test.
    #[test]
    fn the_hash_is_that_of_kafka() {
        for (text, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn a_topic_without_partitions_causes_no_panic() {
        assert_eq!(partition_of(b"key", 0), 0);
        assert!(partition_of(b"", 3) < 3);
    }
}
