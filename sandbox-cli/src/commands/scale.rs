//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox scale")]
pub struct Scale {}

/// Not written yet.
pub async fn run(_args: Scale, _sandbox: &Sandbox) -> Result<()> {
    bail!("scale: not written yet")
}
