//! Reads integers from bytes that any client may have written. Each method returns `None` at the
//! end of the bytes; none panics or allocates.

/// The bytes that are not read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByteReader<'a>(pub &'a [u8]);

impl<'a> ByteReader<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn int16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn int32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn int64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Little-endian, as in zstd and lz4.
    pub fn uint32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Unsigned varint: seven bits in each byte, lowest first, at most ten bytes.
    pub fn varuint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Kafka's signed varint, zigzag-encoded.
    pub fn varint(&mut self) -> Option<i64> {
        let value = self.varuint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}
