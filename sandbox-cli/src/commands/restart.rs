//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox restart")]
pub struct Restart {}

/// Not written yet.
pub async fn run(_args: Restart, _sandbox: &Sandbox) -> Result<()> {
    bail!("restart: not written yet")
}
