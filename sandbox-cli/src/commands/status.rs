//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox status")]
pub struct Status {}

/// Not written yet.
pub async fn run(_args: Status, _sandbox: &Sandbox) -> Result<()> {
    bail!("status: not written yet")
}
