//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox test")]
pub struct Test {}

/// Not written yet.
pub async fn run(_args: Test, _sandbox: &Sandbox) -> Result<()> {
    bail!("test: not written yet")
}
