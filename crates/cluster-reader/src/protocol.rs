//! Kafka's protocol: connections to brokers, and parsers of bytes.
//!
//! `connection` and `brokers` send requests. The other files parse bytes that any client may have
//! written (assignments, record batches): invalid bytes never cause a panic, and a count in the
//! bytes never decides how much memory is allocated.

pub(crate) mod batch_walk;
pub(crate) mod brokers;
pub(crate) mod byte_reader;
mod connection;
mod decompress;
pub(crate) mod member_assignment;
pub(crate) mod record_batch;
pub(crate) mod record_timestamp;
#[cfg(test)]
pub(crate) mod test_log;
