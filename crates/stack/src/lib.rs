//! The laboratory as processes of this machine: started, scaled, restarted, killed and examined.
//!
//! Read in this order: [`sandbox`] (one stack: its folder, ports and names), [`stack`] (its processes, and the lock that a
//! command takes to change them), [`settings`] (what a service is started with), [`services`] and [`backends`] (one process
//! started or stopped), [`start`] (a whole stack started), [`saved_settings`] (what is kept between two commands),
//! [`host_or_container`] (what can be seen from where), [`doctor`] (what is missing or wrong).

#![deny(missing_docs)]

pub mod backends;
pub mod build;
#[cfg(test)]
mod compose_file;
pub mod database;
pub mod doctor;
pub mod finding;
pub mod host_or_container;
pub mod interrupt;
pub mod lag_view;
pub mod merged_logs;
pub mod observe;
pub mod prerequisites;
pub mod ready;
pub mod sandbox;
pub mod saved_settings;
pub mod services;
pub mod settings;
pub mod shop_client;
pub mod stack;
pub mod start;
pub mod status_rows;
pub mod target;
pub mod terminal;
pub mod workload;

pub use stack::*;
