//! load-generator: sends orders at a given rate and measures how long they take to be acknowledged.
//!
//! Read in this order: [`load_plan`] (when each order is due), [`order_generator`] and
//! [`key_distribution`] (what is ordered, and which partition it goes to), [`event_template`]
//! (encoding an event cheaply), [`kafka_target`] and [`http_target`] (the two ways to send an
//! order), [`delivery_stats`] and [`load_summary`] (the results), [`run_load`] (a load from the
//! command line), [`serve`] (loads over HTTP, and the auto producer).

pub mod delivery_stats;
pub mod event_template;
pub mod http_target;
pub mod kafka_target;
pub mod key_distribution;
pub mod load_plan;
pub mod load_summary;
pub mod metrics;
pub mod order_generator;
pub mod run_load;
pub mod serve;
pub mod settings;

pub use serve::App;
