//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox demo")]
pub struct Demo {}

/// Not written yet.
pub async fn run(_args: Demo, _sandbox: &Sandbox) -> Result<()> {
    bail!("demo: not written yet")
}
