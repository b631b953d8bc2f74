//! The page in a real browser: headless Chromium, driven by chromedriver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod accessibility;
mod actions;
mod browser;
mod child_program;
mod content;
mod disconnects;
#[allow(dead_code, reason = "the other test program uses the rest")]
#[path = "../it/kafka_wire.rs"]
mod kafka_wire;
#[allow(dead_code, reason = "the other test program uses the rest")]
#[path = "../it/test_monitor.rs"]
mod test_monitor;

use test_stack::{DedicatedStack, dedicated};
use tokio::sync::OnceCell;

use test_monitor::TestMonitor;

/// A dedicated broker. The page shows a limited number of cards and alerts, the worst groups first,
/// and the shared broker has many groups with a bad status.
async fn dedicated_broker() -> String {
    static STACK: OnceCell<DedicatedStack> = OnceCell::const_new();
    STACK.get_or_init(dedicated).await.bootstrap()
}

/// A monitor on the dedicated broker. `test` is the prefix of its names, so it must be unique.
async fn start_monitor(test: &str) -> TestMonitor {
    TestMonitor::on(&dedicated_broker().await, &format!("{test}-")).await
}
