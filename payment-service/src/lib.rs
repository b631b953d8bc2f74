//! payment-service: answers each order with a payment or a refusal, and each shortage with a refund.
//!
//! The simplest correct Kafka service there is: each answer is a function of the event answered, so nothing has to be
//! remembered, and telling it again does no harm. Read in this order: [`domain`] (the rules), [`handler`] (what a record
//! means), [`app`] (what is wired).

pub mod app;
pub mod domain;
pub mod handler;
pub mod metrics;
pub mod settings;

pub use app::App;
pub use settings::Settings;
