//! The guarantees of the shop, checked by comparing topics with databases. No service is asked.
//!
//! [`Audit::run`] reads the topics (`read_committed`) with clients of its own and both databases with SQL, and returns a [`Report`]:
//! figures, and the result of each [`Rule`]. The command `audit`, the tests that kill processes, and the scenarios all use it.
//!
//! Memory does not grow with the number of orders: what is read becomes small items of one size, in temporary files. All items of
//! an order are in the same file, and each thread audits one file after another.
//!
//! Read the files in this order:
//!
//! 1. `rule.rs`: the invariants. `report.rs`: the result.
//! 2. `positions.rs`: why a shop that is at work can be audited. `caught_up.rs`: waits until it has no work left.
//! 3. `item.rs`: what is kept of a record or a row. `databases.rs` and `topic_items.rs` read them, `item_files.rs` holds them.
//! 4. `order_history.rs`: everything about one order. `order_figures.rs`, `order_rules.rs`, `database_rule.rs`, `expectations.rs` and
//!    `other_rules.rs`: pure functions of it.

#![deny(missing_docs)]

mod audit;
mod caught_up;
mod database_rule;
mod databases;
mod expectations;
mod item;
mod item_bytes;
mod item_files;
mod order_figures;
mod order_history;
mod order_rules;
mod other_rules;
mod positions;
mod report;
mod rule;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests;
mod topic_items;

use std::collections::BTreeSet;

use shared_events::OrderId;

pub use audit::{Audit, Sources};
pub use caught_up::CaughtUp;
pub use report::{Figures, Report, RuleResult, Violation, WaitingFor};
pub use rule::Rule;

/// What is not a violation.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// A relay was killed, or lost broker or database: it may have published `OrderCreated` twice.
    pub duplicate_orders: bool,
    /// `DELIVERY=at-least-once`: answers may be published twice.
    pub duplicate_outputs: bool,
    /// Orders that must be in `inventory.dlq`, once each, and stay PAID. No other dead letter is expected.
    pub dead_letters: BTreeSet<OrderId>,
    /// Any dead letter, whatever `dead_letters` says.
    pub any_dead_letter: bool,
}

impl Allowed {
    /// Everything that depends on settings and on kills, of which the audit knows nothing. Duplicates are still counted.
    pub fn anything() -> Self {
        Self {
            duplicate_orders: true,
            duplicate_outputs: true,
            dead_letters: BTreeSet::new(),
            any_dead_letter: true,
        }
    }
}
