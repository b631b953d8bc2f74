//! lag-monitor: watches every consumer group of a cluster, and says how far behind it is, why, and what to do about it.
//!
//! It joins no group. What lag is, and what several readings mean, is said in crate `cluster-reader`.
//!
//! Read in this order: [`poll`] (a reading every few seconds), [`watch`] (what is known, and until when it counts), [`recommend`]
//! (what to do), [`http`] and [`metrics`] (what is told), [`app`] (what is wired).

pub mod app;
pub mod http;
pub mod metrics;
pub mod poll;
pub mod recommend;
pub mod settings;
pub mod text;
pub mod watch;

pub use app::App;
pub use settings::Settings;

/// What it is called.
pub const NAME: &str = "lag-monitor";
