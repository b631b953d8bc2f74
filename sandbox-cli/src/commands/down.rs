//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox down")]
pub struct Down {}

/// Not written yet.
pub async fn run(_args: Down, _sandbox: &Sandbox) -> Result<()> {
    bail!("down: not written yet")
}
