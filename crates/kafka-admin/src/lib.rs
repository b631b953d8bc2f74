//! Operations on a Kafka cluster, for tools: topics, records, groups, offsets, bulk load and the
//! replay of dead letters.
//!
//! load-generator, lag-monitor and the command `sandbox` use this crate. The services of the shop
//! use it in tests only.
//!
//! A [`Cluster`] joins no consumer group, except to disturb one on purpose ([`faults`]). A tool that
//! joined one would take partitions away from the members that it observes. Lag and group membership
//! are defined in the crate `cluster-reader`.
//!
//! Read the files in this order:
//!
//! 1. `cluster.rs`: the connection to a cluster. `cluster_error.rs`: why an operation fails.
//!    `clients.rs`: the settings of every Kafka client of this crate.
//! 2. [`topics`]: the topics of the shop. [`topic_admin`]: any topic. [`broker_settings`]: the
//!    settings that the shop needs of a broker.
//! 3. [`offsets`]: end offsets and committed offsets. `groups.rs`: deletion of groups.
//!    `group_controls.rs`: the record of a group in `sandbox.controls`.
//! 4. [`publish`]: any record, valid or not. [`records`]: the records of a topic up to its end.
//!    [`topic_tail`]: these, then new ones. [`tail_new`]: new ones only. [`read_benchmark`]: how
//!    fast a topic can be read. `partitioner.rs`: the partition of a key.
//!    `log_reader.rs`: what all readers share, and which of the wanted records were deleted.
//! 5. [`dead_letters`]: the records of a dead-letter topic. [`replay`]: publishes them again.
//!    [`discard`]: gives one up on purpose. `replay_decision.rs`: which of them are refused.
//!    `replayed_record.rs`: the record that is sent, and its size. `dead_letter_outcomes.rs`: what
//!    was done with single dead letters. `replay_producer.rs`: the transactions.
//! 6. [`bulk_producer`]: the producer of a load. [`faults`]: what a fault on purpose does to a
//!    cluster.
//!
//! A tool depends on this crate and not on `kafka-runtime` too, so the parts of `kafka-runtime`
//! that tools need are exported from here.

#![deny(missing_docs)]

pub mod broker_settings;
pub mod bulk_producer;
mod clients;
mod cluster;
mod cluster_error;
mod dead_letter_outcomes;
pub mod dead_letters;
pub mod discard;
pub mod faults;
mod group_controls;
mod groups;
mod log_reader;
pub mod offsets;
mod partitioner;
pub mod publish;
pub mod read_benchmark;
pub mod records;
pub mod replay;
mod replay_decision;
mod replay_producer;
mod replayed_record;
pub mod tail_new;
pub mod topic_admin;
pub mod topic_tail;
pub mod topics;

pub use cluster::Cluster;
pub use cluster_error::ClusterError;
pub use partitioner::partition_of;

pub use kafka_runtime::client::{BrokerHealth, ClientKind, Criticality};
pub use kafka_runtime::settings::{DEFAULT_POISON_LIMIT, TUNABLE};
pub use kafka_runtime::{DeliveryMode, KafkaSettings};

/// What a member reports and accepts at `/config` and `/stats`, for the clients of these paths.
pub mod member_controls {
    pub use kafka_runtime::controls::parse_group_controls;
    pub use shared_events::member_api::{
        AppliedConfig, ConditionKind, EffectiveConfig, LostRecords, MemberCondition, MemberStats,
        PartitionOffsets, Since, Source, Sources,
    };
}
