//! lag-monitor reports the lag of every consumer group of a cluster, the reason for it, and what to
//! do about it.
//!
//! lag-monitor joins no group. Crate `cluster-reader` defines lag and derives the health of a group
//! from several snapshots.
//!
//! Reading order: [`poll`] (takes a snapshot every few seconds), [`instances`] and [`instance_poll`]
//! (ask the members for what only they know), [`transaction_search`] (looks for transactions that
//! hang), [`lag_state`] (what is known, and how long it is current), [`recommend`] (what to do),
//! [`http`] and [`metrics`] (what is reported), [`app`] (wiring).

pub mod app;
pub mod format;
pub mod http;
pub mod instance_poll;
pub mod instances;
pub mod lag_fields;
pub mod lag_state;
pub mod metrics;
pub mod poll;
pub mod recommend;
pub mod settings;
pub mod transaction_search;

pub use app::App;
pub use settings::Settings;

/// The program's name: Kafka client id, readiness and logs.
pub const NAME: &str = "lag-monitor";
