//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox order")]
pub struct Order {}

/// Not written yet.
pub async fn run(_args: Order, _sandbox: &Sandbox) -> Result<()> {
    bail!("order: not written yet")
}
