//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox reset")]
pub struct Reset {}

/// Not written yet.
pub async fn run(_args: Reset, _sandbox: &Sandbox) -> Result<()> {
    bail!("reset: not written yet")
}
