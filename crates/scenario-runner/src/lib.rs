//! A scenario: a README that a person follows, and that this crate runs.
//!
//! Read in this order: [`readme`] (which blocks are steps), [`expected`] (what a step should print), [`shell`] (the one bash
//! of a run), [`runner`] (a scenario from its first step to its restoration), [`progress`] (what is printed meanwhile),
//! [`conditions`] (what `wait` and `expect` check), [`probes`] (how that is read from services, broker and database),
//! [`report`] (a run as one HTML file).

pub mod conditions;
pub mod expected;
pub mod probes;
pub mod progress;
pub mod readme;
pub mod report;
pub mod runner;
pub mod shell;
