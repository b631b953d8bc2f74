use bytes::BytesMut;
use kafka_protocol::compression::Compressor;
use proptest::prelude::*;

use super::*;

fn packed(codec: i16, content: &[u8]) -> Vec<u8> {
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
fn what_was_packed_comes_out_again() {
    let noise: Vec<u8> = (0..300_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for content in [&b""[..], b"short", &[7; 400_000], &noise] {
        for codec in 0..=4 {
            let packed = packed(codec, content);
            // Snappy without content is a header without blocks, which its decompressor takes for nothing.
            let same = unpacked(codec, &packed, |bytes| bytes == content);
            assert_eq!(same, Some(true), "codec {codec}, {} bytes", content.len());
        }
    }
}

#[test]
fn what_becomes_too_large_is_not_unpacked_at_all() {
    let bomb = vec![0; 65 << 20];
    for codec in 1..=4 {
        let packed = packed(codec, &bomb);
        assert!(at_most(codec, &packed).unwrap() > LIMIT, "codec {codec}");
        assert_eq!(unpacked(codec, &packed, |_| ()), None, "codec {codec}");
    }
}

#[test]
fn there_are_no_other_codecs() {
    assert_eq!(unpacked(5, b"anything", |_| ()), None);
    assert_eq!(unpacked(7, b"anything", |_| ()), None);
}

proptest! {
    #[test]
    fn any_bytes_are_unpacked_or_not_but_never_a_panic(codec in 0i16..8, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        unpacked(codec, &bytes, |_| ());
    }

    #[test]
    fn a_limit_is_never_below_what_comes_out_also_of_damaged_bytes(
        codec in 1i16..=4,
        content in prop::collection::vec(any::<u8>(), 0..500),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut packed = packed(codec, &content.repeat(40));
        for (at, byte) in changes {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        if let Some(limit) = at_most(codec, &packed) {
            let size = unpacked(codec, &packed, |bytes| bytes.len() as u64);
            prop_assert!(size.is_none_or(|size| size <= limit));
        }
    }
}
