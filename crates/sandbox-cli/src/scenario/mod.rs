//! Scenarios: a README that a person follows, and that this program can follow too. So no README can promise what the shop does
//! not do.
//!
//! Read in this order: [`readme`] (which blocks are steps), [`expected`] (what a step should print), [`shell`] (the one bash
//! of a run), [`play`] (a scenario from its first step to its restoration), [`report`] (what came of it).

pub mod expected;
pub mod play;
pub mod readme;
pub mod report;
pub mod shell;
