//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox logs")]
pub struct Logs {}

/// Not written yet.
pub async fn run(_args: Logs, _sandbox: &Sandbox) -> Result<()> {
    bail!("logs: not written yet")
}
