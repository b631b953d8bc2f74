//! Decompresses a record batch, which any client may have written. A batch is decompressed only if
//! its outer structure proves beforehand that the result is small: 1 MB of zstd can hold gigabytes.

use bytes::Bytes;
use kafka_protocol::compression::{Decompressor, Gzip, Lz4, Snappy, Zstd};

use super::byte_reader::ByteReader;

/// The largest decompressed batch, in bytes.
const LIMIT: u64 = 64 << 20;

/// Calls `read` with the decompressed records. `None` if the bytes are invalid, or if the result
/// might be larger than [`LIMIT`]. Codecs: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
pub(super) fn decompress<T>(
    codec: i16,
    compressed: &[u8],
    read: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    if size_bound(codec, compressed)? > LIMIT {
        return None;
    }
    let mut bytes = Bytes::copy_from_slice(compressed);
    let result = match codec {
        0 => return Some(read(compressed)),
        1 => Gzip::decompress(&mut bytes, |records| Ok(read(records))),
        2 => Snappy::decompress(&mut bytes, |records| Ok(read(records))),
        3 => Lz4::decompress(&mut bytes, |records| Ok(read(records))),
        4 => Zstd::decompress(&mut bytes, |records| Ok(read(records))),
        _ => return None,
    };
    result.ok()
}

/// An upper bound of the decompressed size, from the outer structure alone. `None` if the structure
/// is invalid.
fn size_bound(codec: i16, compressed: &[u8]) -> Option<u64> {
    match codec {
        0 => Some(0),
        1 => Some((compressed.len() as u64).saturating_mul(DEFLATE_RATIO)),
        2 => snappy(compressed),
        3 => lz4(compressed),
        4 => zstd(compressed),
        _ => None,
    }
}

/// The best ratio of deflate (zlib's technical details). Its blocks do not contain their size.
const DEFLATE_RATIO: u64 = 1032;

/// The header of snappy-java's framing, which Java clients use: this magic number and two versions.
const SNAPPY_JAVA: &[u8] = b"\x82SNAPPY\0";

/// Each block begins with its decompressed size. Without the framing there is one block.
fn snappy(compressed: &[u8]) -> Option<u64> {
    let mut reader = ByteReader(compressed);
    if !compressed.starts_with(SNAPPY_JAVA) {
        return reader.varuint();
    }
    reader.take(16)?;
    let mut size = 0u64;
    while !reader.0.is_empty() {
        let length = usize::try_from(reader.int32()?).ok()?;
        size = size.saturating_add(ByteReader(reader.take(length)?).varuint()?);
    }
    Some(size)
}

/// The frame's header has the maximum size of a block (LZ4 Frame Format 1.6.3). Kafka writes one
/// frame.
fn lz4(compressed: &[u8]) -> Option<u64> {
    let mut reader = ByteReader(compressed);
    let (magic, flags, block) = (reader.uint32_le()?, reader.byte()?, reader.byte()?);
    let block = match (block >> 4) & 7 {
        kind @ 4..=7 => 1u64 << (8 + 2 * kind),
        _ => return None,
    };
    let (size, dictionary) = (usize::from(flags >> 3 & 1), usize::from(flags & 1));
    reader.take(size * 8 + dictionary * 4 + 1)?;
    if magic != 0x184d_2204 {
        return None;
    }
    let mut blocks = 0u64;
    loop {
        let length = reader.uint32_le()?;
        if length == 0 {
            reader.take(4 * usize::from(flags >> 2 & 1))?;
            return reader.0.is_empty().then_some(blocks * block);
        }
        let checksum = 4 * usize::from(flags >> 4 & 1);
        reader.take((length & 0x7fff_ffff) as usize + checksum)?;
        blocks += 1;
    }
}

/// A compressed block holds at most 128 KiB; other blocks contain their size (RFC 8878, 3.1.1).
fn zstd(compressed: &[u8]) -> Option<u64> {
    let mut reader = ByteReader(compressed);
    let mut size = 0u64;
    while !reader.0.is_empty() {
        if reader.uint32_le()? != 0xfd2f_b528 {
            return None;
        }
        let head = reader.byte()?;
        let single = head >> 5 & 1;
        let dictionary = [0, 1, 2, 4].get(usize::from(head & 3)).copied()?;
        let content = [usize::from(single), 2, 4, 8]
            .get(usize::from(head >> 6))
            .copied()?;
        reader.take(usize::from(1 - single) + dictionary + content)?;
        loop {
            let &[low, middle, high] = reader.take(3)? else {
                return None;
            };
            let block = u32::from_le_bytes([low, middle, high, 0]);
            let length = block >> 3;
            let (stored, decompressed) = match block >> 1 & 3 {
                0 => (length, length),
                1 => (1, length),
                2 => (length, 128 << 10),
                _ => return None,
            };
            reader.take(stored as usize)?;
            size = size.saturating_add(decompressed.into());
            if block & 1 == 1 {
                break;
            }
        }
        reader.take(4 * usize::from(head >> 2 & 1))?;
    }
    Some(size)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::compression::Compressor;
    use proptest::prelude::*;

    use super::*;

    fn compress(codec: i16, content: &[u8]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        let write = |into: &mut BytesMut| {
            into.extend_from_slice(content);
            Ok(())
        };
        match codec {
            1 => Gzip::compress(&mut bytes, write).unwrap(),
            2 => Snappy::compress(&mut bytes, write).unwrap(),
            3 => Lz4::compress(&mut bytes, write).unwrap(),
            4 => Zstd::compress(&mut bytes, write).unwrap(),
            _ => write(&mut bytes).unwrap(),
        }
        bytes.to_vec()
    }

    #[test]
    fn compressed_bytes_are_decompressed_again() {
        let noise: Vec<u8> = (0..300_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for content in [&b""[..], b"short", &[7; 400_000], &noise] {
            for codec in 0..=4 {
                let compressed = compress(codec, content);
                // Snappy without content is a header without blocks.
                let same = decompress(codec, &compressed, |bytes| bytes == content);
                assert_eq!(same, Some(true), "codec {codec}, {} bytes", content.len());
            }
        }
    }

    #[test]
    fn a_batch_that_would_become_too_large_is_not_decompressed() {
        let bomb = vec![0; 65 << 20];
        for codec in 1..=4 {
            let compressed = compress(codec, &bomb);
            assert!(
                size_bound(codec, &compressed).unwrap() > LIMIT,
                "codec {codec}"
            );
            assert_eq!(
                decompress(codec, &compressed, |_| ()),
                None,
                "codec {codec}"
            );
        }
    }

    #[test]
    fn other_codecs_are_refused() {
        assert_eq!(decompress(5, b"anything", |_| ()), None);
        assert_eq!(decompress(7, b"anything", |_| ()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_decompressed_or_refused_without_a_panic(codec in 0i16..8, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            decompress(codec, &bytes, |_| ());
        }

        #[test]
        fn the_size_bound_holds_for_damaged_bytes_too(
            codec in 1i16..=4,
            content in prop::collection::vec(any::<u8>(), 0..500),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut compressed = compress(codec, &content.repeat(40));
            for (at, byte) in changes {
                let at = at.index(compressed.len());
                compressed[at] = byte;
            }
            if let Some(limit) = size_bound(codec, &compressed) {
                let size = decompress(codec, &compressed, |bytes| bytes.len() as u64);
                prop_assert!(size.is_none_or(|size| size <= limit));
            }
        }
    }
}
