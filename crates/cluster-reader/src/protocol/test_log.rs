//! Logs for tests.

/// A batch as a client writes it. The checksum is not verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestBatch {
    pub base: i64,
    pub last_delta: i32,
    pub attributes: i16,
    pub producer: i64,
    pub count: i32,
    pub timestamps: (i64, i64),
    /// The size of the records, which are not valid.
    pub body_bytes: usize,
}

const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

pub(crate) fn plain(base: i64, count: i32) -> TestBatch {
    TestBatch {
        base,
        last_delta: count - 1,
        attributes: 0,
        producer: -1,
        count,
        timestamps: (1_000 + base, 9_000),
        body_bytes: 10,
    }
}

pub(crate) fn transactional(producer: i64, base: i64, count: i32) -> TestBatch {
    TestBatch {
        attributes: TRANSACTIONAL,
        producer,
        ..plain(base, count)
    }
}

pub(crate) fn marker(producer: i64, base: i64) -> TestBatch {
    TestBatch {
        attributes: TRANSACTIONAL | CONTROL,
        producer,
        ..plain(base, 1)
    }
}

pub(crate) fn log(batches: &[TestBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for one in batches {
        let body = vec![7; one.body_bytes];
        bytes.extend(one.base.to_be_bytes());
        bytes.extend((49 + body.len() as i32).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.push(2);
        bytes.extend([0; 4]);
        bytes.extend(one.attributes.to_be_bytes());
        bytes.extend(one.last_delta.to_be_bytes());
        bytes.extend(one.timestamps.0.to_be_bytes());
        bytes.extend(one.timestamps.1.to_be_bytes());
        bytes.extend(one.producer.to_be_bytes());
        bytes.extend([0; 6]);
        bytes.extend(one.count.to_be_bytes());
        bytes.extend(body);
    }
    bytes
}
