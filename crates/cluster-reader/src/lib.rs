//! Reads groups, offsets and lag of a Kafka cluster by its own protocol.
//!
//! Read in this order: [`snapshot`] is what one poll found, [`reader`] is a poll, step by step, and [`error`] why there may be
//! none; [`judge`] says what several of them mean. Below the poll, `connection` and `brokers` ask; `groups` (with
//! `coordinator`), `offsets` and `unread` are the steps; `assignment`, `batches`, `records` and `unpacked` read the bytes that any
//! client may have written; `rows` puts together what was found.

mod assignment;
mod batches;
mod brokers;
mod connection;
mod coordinator;
pub mod error;
mod groups;
mod input;
pub mod judge;
mod offsets;
pub mod reader;
mod records;
mod rows;
pub mod snapshot;
mod sums;
mod unpacked;
mod unread;

pub use error::ReadError;
pub use reader::{ClusterReader, ReaderSettings};
pub use snapshot::{
    Ends, Group, GroupMember, Lag, NoLag, Owner, PartitionLag, Protocol, Snapshot, TopicPartition,
};
