//! Reads consumer groups, offsets and lag of a Kafka cluster over Kafka's own protocol, and
//! assesses the health of each group.
//!
//! The workspace has one definition of lag and one parser of group membership. Both are here:
//!
//! * [`Lag`], in `lag.rs`: what counts as lag, what does not, and when lag is undefined.
//!   [`LagCount`], in `lag_count.rs`: an exact number, or two bounds.
//! * `protocol/member_assignment.rs` and `reader/group_coordinator.rs`: the members of a group and
//!   the partitions assigned to them.
//!
//! Read the files in this order:
//!
//! 1. `lag_count.rs`, `lag.rs` and `snapshot.rs`: what one poll returns. `totals.rs`: sums over a group.
//! 2. `reader.rs`: one poll, step by step. `reader/` has a file for each step. `error.rs`: why a
//!    poll fails.
//! 3. `protocol/`: connections to brokers, and parsers of bytes that any client may have written.
//! 4. `transactions.rs` and `transactions/`: open transactions, their recorded outcome, and the
//!    markers that end them. This is the only part that can change the cluster.
//! 5. `group_health.rs` and `group_health/`: what several snapshots say about a group. Pure
//!    functions: no clock and no I/O.

#![deny(missing_docs)]

mod error;
pub mod group_health;
mod lag;
mod lag_count;
mod protocol;
mod reader;
mod snapshot;
mod totals;
pub mod transactions;

pub use error::ReadError;
pub use lag::{Lag, LagUndefined, LogOffsets, RecordsWritten};
pub use lag_count::LagCount;
pub use protocol::brokers::ReaderSettings;
pub use reader::ClusterReader;
pub use snapshot::{
    Group, GroupMember, Owner, PartitionLag, Protocol, Replicas, Snapshot, TopicPartition,
};
