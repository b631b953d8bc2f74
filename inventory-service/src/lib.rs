//! inventory-service: reserves stock for paid orders.
//!
//! Read in this order: [`domain`] (the rule), [`handler`] (what a record does), [`store`] (how an
//! order takes stock once), [`products`] and [`http`] (reading and setting the stock), [`app`] (the
//! wiring).

pub mod app;
pub mod domain;
pub mod handler;
pub mod http;
pub mod metrics;
pub mod products;
pub mod settings;
pub mod store;

pub use app::App;
pub use settings::Settings;
