//! What the services say to one another, and nothing else: no I/O, no clock, no randomness beyond making new ids.
//!
//! Read in this order: [`event`] (the six events of the saga), [`envelope`] (an event with its headers, as it travels in a
//! Kafka record), [`topics`] (where it travels), then the types the events are made of: [`ids`], [`amount`], [`quantity`].
//!
//! Every bound is held by a constructor here, and HTTP and event decoding use the same ones. So what passes a decoder also
//! fits the databases, and no service needs a check of its own.

#![deny(missing_docs)]

pub mod amount;
pub mod controls;
pub mod envelope;
pub mod event;
pub mod headers;
pub mod http_api;
pub mod ids;
pub mod quantity;
pub mod topics;
pub mod trace;

pub use amount::Amount;
pub use controls::{GroupControls, WrongControls};
pub use envelope::{Decoded, Envelope, Poison, PoisonClass};
pub use event::{
    Event, EventType, InventoryOutOfStock, InventoryReserved, OrderCreated, PaymentFailed,
    PaymentRefunded, PaymentSucceeded,
};
pub use headers::EventHeaders;
pub use ids::{CorrelationId, CustomerId, EventId, OrderId, PaymentId, ProductId};
pub use quantity::Quantity;
pub use topics::{NamePrefix, Service, Topic, TopicSettings};
pub use trace::TraceParent;

/// A value outside its bounds. The text is the bound, in words a client can act on: "is a whole number from 1 to 10000".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutOfBounds(pub &'static str);
