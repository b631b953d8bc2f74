//! The one Kafka runtime of the shop. Read in this order:
//!
//! 1. [`handler`]: what a service says about its records: the seam between the shop and Kafka;
//! 2. [`member`]: one member of a consumer group: collect, process, settle, and the one failure path;
//! 3. [`settle`]: what has to happen together at the end of a batch, in both delivery modes;
//! 4. [`outbox`]: how an event gets from a PostgreSQL transaction into Kafka;
//! 5. [`dead_letter`]: where poison goes, and how it comes back;
//! 6. [`client`]: every librdkafka setting that is not a default, with its reason;
//! 7. [`database`]: a service's PostgreSQL, with the bounds that the member loop needs;
//! 8. [`controls`]: what a running member can be asked, alone or with its whole group;
//! 9. [`bulk`]: many records as fast as they are acknowledged, for a load generator;
//! 10. [`faults`]: how to switch a protection off, or kill the process at a point, to see what it was good for.

pub mod client;
mod connection;
pub mod controls;
pub mod database;
pub mod dead_letter;
pub mod faults;
pub mod handler;
pub mod member;
mod metrics;
pub mod outbox;
mod send;
pub mod settings;
mod settle;
pub mod stray;

pub use client::Need;
pub use controls::Controls;
pub use faults::{CrashPoint, Faults, Protection};
pub use handler::{Failure, Handler};
pub use member::{Clock, Member, MemberError, MemberSettings, StartError};
pub use outbox::{Publisher, Relay, RelaySettings, Waker};
pub use settings::{
    ConsumerSettings, ConsumerTuning, DeliveryMode, FaultSettings, KafkaSettings, PoisonPolicy,
};
