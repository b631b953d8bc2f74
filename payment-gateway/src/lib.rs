//! A simulated payment gateway, the other system that payment-service charges through when
//! `PAYMENT_GATEWAY_URL` is set.
//!
//! It is idempotent by payment id, and it can fail, be slow, or not answer at all: see
//! [`Behaviour`](shared_events::gateway_api::Behaviour). Read in this order: [`ledger`] (which money
//! was moved), [`http`] (the requests and the faults), [`app`] (the wiring).

pub mod app;
pub mod http;
pub mod ledger;
pub mod settings;

pub use app::App;
pub use settings::Settings;
