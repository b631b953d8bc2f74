//! The record that a replay sends, and whether it fits.
//!
//! A record is refused by its size in two places: librdkafka compares an upper bound of the
//! uncompressed size with the producer's `message.max.bytes`, and the broker compares the size of
//! the record batch with the topic's `max.message.bytes`. One such record fails the transaction of
//! all others, so the sizes are computed before anything is sent.

use std::borrow::Cow;
use std::io::{self, Write};

use kafka_runtime::dead_letter;
use lz4::{BlockMode, ContentChecksum, EncoderBuilder};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;

use crate::clients::MAX_RECORD_BYTES;
use crate::records::Record;

/// The fields of a record batch (format 2) before its records, bytes.
const BATCH_OVERHEAD: usize = 61;

/// What librdkafka adds to key, value and headers for its upper bound, bytes.
const MAX_RECORD_OVERHEAD: usize = 36;

/// What a topic accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicLimits {
    /// `max.message.bytes`: the largest record batch, after compression.
    pub(crate) max_message_bytes: usize,
    /// Whether the broker keeps the compression of the producer. Otherwise the size that it compares
    /// is unknown here, and the uncompressed size counts.
    pub(crate) keeps_compression: bool,
    /// Whether the topic is compacted. A compacted topic accepts no record without a key.
    pub(crate) compacted: bool,
}

/// The original record of a dead letter, with headers that count the replay and name the group that
/// handles it.
pub(crate) struct ReplayedRecord<'a> {
    topic: &'a str,
    key: Option<&'a [u8]>,
    headers: Vec<(&'a str, Option<Cow<'a, [u8]>>)>,
    value: Option<&'a [u8]>,
}

impl<'a> ReplayedRecord<'a> {
    pub(crate) fn new(
        dead_letter: &'a Record,
        topic: &'a str,
        group: &str,
        previous_replays: u32,
    ) -> Self {
        let original = dead_letter.header_pairs();
        let original = original.filter(|(name, _)| !dead_letter::is_dead_letter_header(name));
        let original = original.map(|(name, value)| (name, value.map(Cow::Borrowed)));
        let added = dead_letter::replay_pairs(previous_replays, group)
            .map(|(name, value)| (name, Some(Cow::Owned(value.into_bytes()))));
        Self {
            topic,
            key: dead_letter.key.as_deref(),
            headers: original.chain(added).collect(),
            value: dead_letter.value.as_deref(),
        }
    }

    /// The record as the producer takes it.
    pub(crate) fn to_send(&self) -> FutureRecord<'a, [u8], [u8]> {
        let mut headers = OwnedHeaders::new_with_capacity(self.headers.len());
        for (key, value) in &self.headers {
            let value = value.as_deref();
            headers = headers.insert(Header { key, value });
        }
        let mut record = FutureRecord::to(self.topic).headers(headers);
        record.key = self.key;
        record.payload = self.value;
        record
    }

    /// Why producer or topic would refuse the record; `None` if they accept it.
    pub(crate) fn refusal(&self, limits: &TopicLimits) -> Option<String> {
        let topic = self.topic;
        if limits.compacted && self.key.is_none() {
            return Some(format!(
                "has no key, and topic {topic} is compacted: it accepts no record without a key"
            ));
        }
        let bytes = self.producer_bytes();
        if bytes > MAX_RECORD_BYTES {
            return Some(format!(
                "has {bytes} bytes with the headers of a replay, which sends at most {MAX_RECORD_BYTES} (message.max.bytes)"
            ));
        }
        let limit = limits.max_message_bytes;
        let bytes = self.batch_bytes(limits);
        (bytes > limit).then(|| {
            format!(
                "has {bytes} bytes with the headers of a replay; topic {topic} accepts {limit} (max.message.bytes)"
            )
        })
    }

    /// The size that librdkafka compares with `message.max.bytes`.
    fn producer_bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| sized(Some(name.as_bytes())) + sized(value.as_deref()))
            .sum();
        MAX_RECORD_OVERHEAD + length(self.key) + length(self.value) + headers
    }

    /// The size of the record batch, if the record is alone in it.
    fn batch_bytes(&self, limits: &TopicLimits) -> usize {
        let limit = limits.max_message_bytes;
        let at_most = BATCH_OVERHEAD + self.producer_bytes();
        if at_most <= limit {
            return at_most;
        }
        let record = self.encode();
        let mut bytes = record.len();
        if BATCH_OVERHEAD + bytes > limit && limits.keeps_compression {
            // A producer sends what compression would enlarge uncompressed.
            bytes = compressed(&record).map_or(bytes, |compressed| compressed.min(bytes));
        }
        BATCH_OVERHEAD + bytes
    }

    /// The record in format 2, as the first one of its batch.
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.producer_bytes());
        // No attributes; the differences to the first timestamp and offset are 0.
        body.extend([0, 0, 0]);
        put_bytes(&mut body, self.key);
        put_bytes(&mut body, self.value);
        put_varint(&mut body, as_i64(self.headers.len()));
        for (name, value) in &self.headers {
            put_bytes(&mut body, Some(name.as_bytes()));
            put_bytes(&mut body, value.as_deref());
        }
        let mut record = Vec::with_capacity(body.len() + MAX_RECORD_OVERHEAD);
        put_varint(&mut record, as_i64(body.len()));
        record.append(&mut body);
        record
    }
}

fn length(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(0, <[u8]>::len)
}

/// The encoded size of a length and its bytes.
fn sized(bytes: Option<&[u8]>) -> usize {
    let mut prefix = Vec::new();
    put_varint(&mut prefix, bytes.map_or(-1, |bytes| as_i64(bytes.len())));
    prefix.len() + length(bytes)
}

fn put_bytes(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varint(buffer, bytes.map_or(-1, |bytes| as_i64(bytes.len())));
    buffer.extend_from_slice(bytes.unwrap_or_default());
}

/// A zigzag number of variable length, as in protocol buffers.
fn put_varint(buffer: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        buffer.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    buffer.push(rest as u8);
}

fn as_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The size after compression with the settings of librdkafka.
fn compressed(bytes: &[u8]) -> io::Result<usize> {
    let mut encoder = EncoderBuilder::new()
        .block_mode(BlockMode::Independent)
        .checksum(ContentChecksum::NoChecksum)
        .build(Vec::new())?;
    encoder.write_all(bytes)?;
    let (compressed, outcome) = encoder.finish();
    outcome.map(|()| compressed.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "inventory-service-group";

    fn limits(max_message_bytes: usize) -> TopicLimits {
        TopicLimits {
            max_message_bytes,
            keeps_compression: true,
            compacted: false,
        }
    }

    fn record(value: Vec<u8>, headers: Vec<(String, Option<Vec<u8>>)>) -> Record {
        Record {
            topic: "inventory.dlq".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: Some(b"key".to_vec()),
            headers: Some(headers),
            value: Some(value),
        }
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        std::iter::repeat_with(|| random.u8(..))
            .take(bytes)
            .collect()
    }

    fn refusal(record: &Record, limits: &TopicLimits) -> Option<String> {
        ReplayedRecord::new(record, "payments", GROUP, 0).refusal(limits)
    }

    /// As in Kafka's protocol guide: the fields of the batch, then length, attributes and two
    /// differences, then key and value, then the number of headers and two headers.
    #[test]
    fn the_size_is_that_of_a_record_batch() {
        let record = record(noise(1_000_000), Vec::new());
        let replayed = ReplayedRecord::new(&record, "payments", GROUP, 0);
        let headers = 1 + (1 + 16 + 1 + 1) + (1 + 14 + 1 + 23);
        let expected = 61 + (3 + 3) + (1 + 3) + (3 + 1_000_000) + headers;
        assert_eq!(BATCH_OVERHEAD + replayed.encode().len(), expected);
        assert_eq!(refusal(&record, &limits(expected)), None);
        let refused = refusal(&record, &limits(expected - 1)).unwrap();
        assert!(
            refused.contains(&format!("{expected} bytes")) && refused.contains("topic payments"),
            "{refused}"
        );
    }

    #[test]
    fn headers_count_and_so_do_those_of_the_replay() {
        let limit = 1_048_576;
        let of_header = |bytes| record(Vec::new(), vec![("h".to_owned(), Some(noise(bytes)))]);
        assert_eq!(refusal(&of_header(limit - 200), &limits(limit)), None);
        // The header fits, and with the headers of the replay it does not.
        let full = of_header(limit - 100);
        assert!(refusal(&full, &limits(limit)).is_some());
        // Headers of the dead letter are not sent.
        let own = record(Vec::new(), vec![("dlq-x".to_owned(), Some(noise(limit)))]);
        assert_eq!(refusal(&own, &limits(limit)), None);
    }

    #[test]
    fn a_record_that_fits_compressed_is_accepted_if_the_topic_keeps_the_compression() {
        let large = record(vec![b'x'; 1_500_000], Vec::new());
        assert_eq!(refusal(&large, &limits(1_048_576)), None);
        let uncompressed = TopicLimits {
            keeps_compression: false,
            ..limits(1_048_576)
        };
        assert!(refusal(&large, &uncompressed).is_some());
        assert!(refusal(&record(noise(1_500_000), Vec::new()), &limits(1_048_576)).is_some());
    }

    #[test]
    fn the_limit_of_the_producer_is_that_of_uncompressed_bytes() {
        let added = 36 + 3 + (1 + 16 + 1 + 1) + (1 + 14 + 1 + 23);
        let of = |bytes| refusal(&record(vec![b'x'; bytes], Vec::new()), &limits(3_000_000));
        assert_eq!(of(MAX_RECORD_BYTES - added), None);
        let refused = of(MAX_RECORD_BYTES - added + 1).unwrap();
        assert!(refused.contains("message.max.bytes"), "{refused}");
    }

    #[test]
    fn a_compacted_topic_needs_a_key() {
        let compacted = TopicLimits {
            compacted: true,
            ..limits(1_048_576)
        };
        let mut record = record(b"value".to_vec(), Vec::new());
        assert_eq!(refusal(&record, &compacted), None);
        record.key = None;
        assert!(refusal(&record, &compacted).unwrap().contains("no key"));
        assert_eq!(refusal(&record, &limits(1_048_576)), None);
    }

    #[test]
    fn a_number_is_encoded_as_kafka_does() {
        for (number, bytes) in [
            (0, &[0][..]),
            (-1, &[1]),
            (63, &[126]),
            (64, &[128, 1]),
            (1_000_000, &[128, 137, 122]),
        ] {
            let mut buffer = Vec::new();
            put_varint(&mut buffer, number);
            assert_eq!(buffer, bytes, "{number}");
        }
    }
}
