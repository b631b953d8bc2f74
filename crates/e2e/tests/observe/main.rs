//! The dashboards and the alert rules, compared with the metrics that the programs export.
//!
//! Prometheus and promtool must be installed (Debian: apt-get install prometheus). Grafana is not needed: the queries of the panels are
//! sent to Prometheus directly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test that cannot go on has failed, and says where"
)]

mod contract;
mod counters;
mod dashboard;
mod expression;
mod observed;
mod prometheus;
#[allow(dead_code, reason = "the tests of the command line need more of it")]
#[path = "../cli/rig.rs"]
mod rig;
mod rules;
mod structure;

use std::path::{Path, PathBuf};

/// A file or folder of the checkout.
fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// A text file of the checkout.
fn text(path: &str) -> String {
    let path = checkout(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether there is a scenario of this name.
fn is_scenario(name: &str) -> bool {
    !name.is_empty() && checkout(&format!("scenarios/{name}/README.md")).is_file()
}
