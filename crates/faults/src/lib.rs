//! Faults on purpose, by name: what breaks, where it shows, whether it is there now, and how it is
//! undone.
//!
//! Read in this order:
//!
//! 1. [`Fault`]: what a fault is. `catalogue.rs` lists all of them, and the folder beside it has one
//!    file for each. [`document`] makes `docs/faults.md` of them.
//! 2. [`broken`]: the file in which a fault is recorded before it is caused.
//! 3. [`probe`]: whether a fault is there now, as far as it shows over the network.
//! 4. [`mystery`]: faults without their names. `mystery_list.rs` has the answers.
//! 5. [`change`]: what a fault changes at once. [`hold`]: what a fault does as long as it lasts, in a
//!    process of its own. `database.rs`: the sessions of both.
//!
//! The command `sandbox` runs the commands of a fault.

#![deny(missing_docs)]

pub mod broken;
mod catalogue;
pub mod change;
mod database;
pub mod document;
mod fault;
pub mod hold;
pub mod mystery;
mod mystery_list;
pub mod mystery_state;
pub mod probe;

pub use catalogue::{ALL, find};
pub use fault::{Check, Fault, Modes, Shows};
