//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox topics")]
pub struct Topics {}

/// Not written yet.
pub async fn run(_args: Topics, _sandbox: &Sandbox) -> Result<()> {
    bail!("topics: not written yet")
}
