//! What a service runs on: the consumer loop, the outbox relay, the client settings.
//!
//! Read the files in this order:
//!
//! 1. [`handler`]: what a service implements, the seam between the shop and Kafka.
//! 2. `member/consumer_loop.rs`: `ConsumerLoop::run_once` is the delivery guarantee, from top to bottom. Beside it: `collect`,
//!    `classify`, `poison_policy`, `batch_outcome` (what follows a batch), `pause_state`, `simulated_work`, `batch_telemetry`,
//!    `conditions` (what keeps the member from its work), `loss_watch` (records that were deleted before they were consumed).
//! 3. `batch_committer`: what is committed together at the end of a batch, in both delivery modes.
//! 4. [`librdkafka`]: the workarounds for librdkafka, behind one consumer type.
//! 5. [`outbox`]: how an event gets from a PostgreSQL transaction into Kafka.
//! 6. [`dead_letter`]: the format of a dead letter and of its replay.
//!    [`retry`]: the settings and headers of a record that failed for now.
//! 7. [`client`]: every librdkafka setting that is not a default, with its reason. `broker_health`: whether a broker is reached.
//!    `client_log`: where librdkafka's log goes.
//! 8. [`member`]: one member of a consumer group, from its start to its end.
//! 9. [`database`]: a service's PostgreSQL, with the time-outs that the consumer loop needs.
//! 10. [`controls`]: the settings of a running member that can be changed, alone or with its whole group.
//! 11. [`faults`]: crash points, and protections that can be switched off to show what they protect from.

#![deny(missing_docs)]

mod batch_committer;
mod broker_health;
pub mod client;
mod client_log;
pub mod controls;
pub mod database;
pub mod dead_letter;
mod error_chain;
pub mod faults;
pub mod handler;
pub mod librdkafka;
pub mod member;
mod metrics;
pub mod outbox;
mod produce;
pub mod retry;
pub mod settings;
mod topic_partitions;
mod topic_watch;

pub use client::Criticality;
pub use controls::Controls;
pub use faults::{CrashPoint, Faults, Protection};
pub use handler::{Applied, Failure, Handler, Outcome};
pub use librdkafka::KnownBrokers;
pub use member::{Clock, Member, MemberError, MemberSettings, StartError};
pub use outbox::{Publisher, Relay, RelaySettings, Waker};
pub use retry::{RetryMode, RetrySettings};
pub use settings::{
    ConsumerSettings, ConsumerTuning, DeliveryMode, FaultSettings, KafkaSettings, PoisonPolicy,
};
