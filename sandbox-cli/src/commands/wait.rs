//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox wait")]
pub struct Wait {}

/// Not written yet.
pub async fn run(_args: Wait, _sandbox: &Sandbox) -> Result<()> {
    bail!("wait: not written yet")
}
