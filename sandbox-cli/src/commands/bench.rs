//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox bench")]
pub struct Bench {}

/// Not written yet.
pub async fn run(_args: Bench, _sandbox: &Sandbox) -> Result<()> {
    bail!("bench: not written yet")
}
