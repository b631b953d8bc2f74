//! The shop as processes of one machine: started, scaled, restarted, killed and examined.
//!
//! Read in this order:
//!
//! 1. [`layout`]: where one stack is: folders, names, addresses. `broker_count`: how many brokers it has. [`ports`]: every
//!    port. [`workload`]: the programs.
//! 2. [`Stack`]: its processes, and the lock that a command holds while it changes them.
//! 3. [`settings`]: the environment of a program. [`saved_settings`]: what `restart --set` changed.
//! 4. [`start_plan`] and [`start`]: which processes a command starts, and how. [`instances`] starts one service,
//!    [`backends`] broker and database, [`prometheus`] Prometheus; `instances_file` lists the
//!    instances for lag-monitor. [`disk`]: the space that they need.
//!    [`container_databases`]: the databases in Docker mode.
//! 5. [`stop`], [`scale`], [`restart`], [`reset`], [`signals`]: the verbs of the command, one file each.
//! 6. [`readiness_probe`], [`status_rows`], [`lag_view`], [`merged_logs`], [`doctor`]: what can be seen of a stack.
//!    [`host_or_container`] says which part of that can be seen from a container.
//! 7. [`shop_client`]: the shop over HTTP, as its customers use it.

#![deny(missing_docs)]

pub mod backends;
mod broker_count;
pub mod build;
#[cfg(test)]
mod compose_file_tests;
#[cfg(test)]
mod compose_services_tests;
pub mod container_databases;
pub mod disk;
pub mod doctor;
pub mod gateway;
pub mod host_or_container;
pub mod instances;
mod instances_file;
pub mod interrupt;
pub mod lag_view;
pub mod layout;
pub mod merged_logs;
pub mod ports;
pub mod prometheus;
pub mod readiness_probe;
pub mod reset;
pub mod restart;
pub mod saved_settings;
pub mod scale;
#[cfg(test)]
mod script_tests;
pub mod settings;
pub mod shop_client;
pub mod signals;
mod stack;
pub mod start;
pub mod start_plan;
pub mod status_rows;
pub mod stop;
pub mod target;
pub mod terminal;
pub mod workload;

pub use service_kit::mode::{MODE_VARIABLE, Mode};
pub use stack::{Stack, StartedInstance, describe_exit};
pub use workload::process_name;
