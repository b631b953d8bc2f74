//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox up")]
pub struct Up {}

/// Not written yet.
pub async fn run(_args: Up, _sandbox: &Sandbox) -> Result<()> {
    bail!("up: not written yet")
}
