//! The contract between the services, and of order-service with its HTTP clients: events, topics,
//! headers, ids and money.
//!
//! This crate has no I/O and no clock. It is random only where it makes new ids.
//!
//! Read the files in this order:
//!
//! 1. [`event`]: the six events of the saga, as one table. Their JSON is in `tests/envelope.rs`.
//! 2. [`envelope`]: an event with its headers, and how a Kafka record becomes one. [`headers`]: the
//!    name of every header.
//! 3. [`ids`]: order, event and payment ids. The last two are computed from the order id.
//! 4. [`topics`]: the topics, consumer groups and services, as one table.
//! 5. [`controls`]: the settings of a consumer group that can be changed while it runs. [`faults`]:
//!    those that break a guarantee on purpose.
//! 6. [`http_api`]: the HTTP API of order-service. [`member_api`]: of a consumer's settings and
//!    status, which every service has. [`autoscaler_api`]: of the autoscaler's reports to lag-monitor.
//! 7. [`trace`]: W3C trace context. [`amount`] and [`quantity`]: values with bounds.
//!
//! Topic, header and group names are string literals in this crate only.
//!
//! Each value type checks its bounds in its constructor, and the HTTP API, the event decoder and
//! the command line use the same constructor. A value that was decoded therefore fits the
//! databases, and no service checks it again.

#![deny(missing_docs)]

pub mod amount;
pub mod autoscaler_api;
pub mod controls;
pub mod envelope;
pub mod event;
pub mod faults;
pub mod gateway_api;
pub mod headers;
pub mod http_api;
pub mod ids;
pub mod member_api;
pub mod quantity;
pub mod topics;
pub mod trace;

pub use amount::Amount;
pub use controls::{GroupControls, InvalidControls};
pub use envelope::{Decoded, Envelope, Poison, PoisonClass};
pub use event::{
    Event, EventType, InventoryOutOfStock, InventoryReserved, OrderCreated, PaymentFailed,
    PaymentRefunded, PaymentSucceeded,
};
pub use faults::{CrashAt, CrashPoint, OrNone, Protection};
pub use headers::EventHeaders;
pub use ids::{CorrelationId, CustomerId, EventId, OrderId, PaymentId, ProductId};
pub use quantity::Quantity;
pub use topics::{NamePrefix, Service, Topic, TopicSettings};
pub use trace::TraceParent;

/// A value is outside its bounds. The text states the bounds for the caller of an API: "must be a
/// whole number from 1 to 10000".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutOfBounds(pub &'static str);
