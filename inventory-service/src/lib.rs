//! inventory-service: reserves stock for paid orders.
//!
//! Read in this order: [`domain`] (the rule), [`handler`] (what a record means), [`store`] (how an order has its effect once),
//! [`products`] and [`http`] (looking at the stock, and restocking), [`app`] (what is wired).

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
