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
