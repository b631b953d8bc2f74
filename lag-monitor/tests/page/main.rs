//! The page in a real browser: Chromium without a window, driven by chromedriver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod acting;
mod away;
mod browser;
mod kept;
mod looks;
mod shown;
#[allow(dead_code, reason = "what the other tests use besides")]
#[path = "../it/support.rs"]
mod support;
#[allow(dead_code, reason = "what the other tests use besides")]
#[path = "../it/wire.rs"]
mod wire;

use test_stack::{OwnStack, exclusive};
use tokio::sync::OnceCell;

use support::Lab;

/// A broker that only these tests use. The page has room for so many cards and alerts, those of the groups that do worst; and the
/// broker that other tests share is full of groups that do badly.
async fn broker() -> String {
    static STACK: OnceCell<OwnStack> = OnceCell::const_new();
    STACK.get_or_init(exclusive).await.bootstrap()
}

/// A lab on it; `test` is its prefix, and no other test's.
async fn lab(test: &str) -> Lab {
    Lab::on(&broker().await, &format!("{test}-")).await
}
