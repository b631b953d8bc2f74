//! Decompresses a batch that anybody may have written: only if it is sure beforehand that it does not become too large, since
//! 1 MB of zstd can hold gigabytes.

use bytes::Bytes;
use kafka_protocol::compression::{Decompressor, Gzip, Lz4, Snappy, Zstd};

use crate::input::Input;

/// What a batch may become at most, bytes.
const LIMIT: u64 = 64 << 20;

/// Calls `look` with the records; `None` if they cannot be had, or might be larger than [`LIMIT`]. Codec as in a batch's
/// attributes: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
pub(crate) fn unpacked<T>(codec: i16, packed: &[u8], look: impl FnOnce(&[u8]) -> T) -> Option<T> {
    if at_most(codec, packed)? > LIMIT {
        return None;
    }
    let mut bytes = Bytes::copy_from_slice(packed);
    let seen = match codec {
        0 => return Some(look(packed)),
        1 => Gzip::decompress(&mut bytes, |records| Ok(look(records))),
        2 => Snappy::decompress(&mut bytes, |records| Ok(look(records))),
        3 => Lz4::decompress(&mut bytes, |records| Ok(look(records))),
        4 => Zstd::decompress(&mut bytes, |records| Ok(look(records))),
        _ => return None,
    };
    seen.ok()
}

/// How large it can become, from its outer structure alone; `None` if it has not the right one.
fn at_most(codec: i16, packed: &[u8]) -> Option<u64> {
    match codec {
        0 => Some(0),
        1 => Some((packed.len() as u64).saturating_mul(DEFLATE_RATIO)),
        2 => snappy(packed),
        3 => lz4(packed),
        4 => zstd(packed),
        _ => None,
    }
}

/// The best that deflate can do (zlib's technical details: 1032:1). Its blocks do not say how large they are.
const DEFLATE_RATIO: u64 = 1032;

/// Before the blocks in the framing that Java's clients use (snappy-java): a magic number and two versions.
const SNAPPY_JAVA: &[u8] = b"\x82SNAPPY\0";

/// Each block begins with its own size. Without the framing it is one block.
fn snappy(packed: &[u8]) -> Option<u64> {
    let mut input = Input(packed);
    if !packed.starts_with(SNAPPY_JAVA) {
        return input.varuint();
    }
    input.take(16)?;
    let mut size = 0u64;
    while !input.0.is_empty() {
        let length = usize::try_from(input.int32()?).ok()?;
        size = size.saturating_add(Input(input.take(length)?).varuint()?);
    }
    Some(size)
}

/// A block holds at most what the frame's header says (LZ4 Frame Format 1.6.3). Kafka writes one frame.
fn lz4(packed: &[u8]) -> Option<u64> {
    let mut input = Input(packed);
    let (magic, flags, block) = (input.uint32_le()?, input.byte()?, input.byte()?);
    let block = match (block >> 4) & 7 {
        kind @ 4..=7 => 1u64 << (8 + 2 * kind),
        _ => return None,
    };
    let (size, dictionary) = (usize::from(flags >> 3 & 1), usize::from(flags & 1));
    input.take(size * 8 + dictionary * 4 + 1)?;
    if magic != 0x184d_2204 {
        return None;
    }
    let mut blocks = 0u64;
    loop {
        let length = input.uint32_le()?;
        if length == 0 {
            input.take(4 * usize::from(flags >> 2 & 1))?;
            return input.0.is_empty().then_some(blocks * block);
        }
        let checksum = 4 * usize::from(flags >> 4 & 1);
        input.take((length & 0x7fff_ffff) as usize + checksum)?;
        blocks += 1;
    }
}

/// A compressed block holds at most 128 KiB, and others say their size (RFC 8878, 3.1.1).
fn zstd(packed: &[u8]) -> Option<u64> {
    let mut input = Input(packed);
    let mut size = 0u64;
    while !input.0.is_empty() {
        if input.uint32_le()? != 0xfd2f_b528 {
            return None;
        }
        let head = input.byte()?;
        let single = head >> 5 & 1;
        let dictionary = [0, 1, 2, 4].get(usize::from(head & 3)).copied()?;
        let content = [usize::from(single), 2, 4, 8]
            .get(usize::from(head >> 6))
            .copied()?;
        input.take(usize::from(1 - single) + dictionary + content)?;
        loop {
            let &[low, middle, high] = input.take(3)? else {
                return None;
            };
            let block = u32::from_le_bytes([low, middle, high, 0]);
            let length = block >> 3;
            let (stored, becomes) = match block >> 1 & 3 {
                0 => (length, length),
                1 => (1, length),
                2 => (length, 128 << 10),
                _ => return None,
            };
            input.take(stored as usize)?;
            size = size.saturating_add(becomes.into());
            if block & 1 == 1 {
                break;
            }
        }
        input.take(4 * usize::from(head >> 2 & 1))?;
    }
    Some(size)
}

#[cfg(test)]
mod tests;
