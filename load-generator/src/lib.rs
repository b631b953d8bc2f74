//! load-generator: makes orders at a rate asked for, and measures how long they take to be acknowledged.
//!
//! Read in this order: [`plan`] (when each order is due), [`orders`] and [`keys`] (what is ordered, and which partition it goes
//! to), [`template`] (an event written cheaply), [`tally`] and [`summary`] (what became of it), [`kafka`] and [`shop`] (the two
//! ways it goes), [`run`] (a load on the command line), [`serve`] (loads asked for over HTTP, and one that runs by itself).

pub mod kafka;
pub mod keys;
pub mod metrics;
pub mod orders;
pub mod plan;
pub mod run;
pub mod serve;
pub mod settings;
pub mod shop;
pub mod summary;
pub mod tally;
pub mod template;

pub use serve::App;
