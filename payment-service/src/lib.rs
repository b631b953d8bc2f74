//! payment-service: charges each order or declines it, and refunds orders that are out of stock.
//!
//! The simplest service of the shop: each response is a function of the event it responds to, so
//! there is no database, and a repeated response does no harm. Read in this order: [`domain`] (the
//! rules), [`gateway`] (who moves the money), [`handler`] (what a record does), [`app`] (the wiring).

pub mod app;
pub mod domain;
pub mod gateway;
pub mod handler;
pub mod metrics;
pub mod settings;

pub use app::App;
pub use settings::Settings;
