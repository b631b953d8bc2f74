//! Reads groups, offsets and lag of a Kafka cluster by its own protocol.
//!
//! [`snapshot`] is what one poll found; [`judge`] says what several of them mean.

pub mod judge;
pub mod snapshot;

pub use snapshot::{
    Ends, Group, GroupMember, Lag, NoLag, Owner, PartitionLag, Protocol, Snapshot, TopicPartition,
};
