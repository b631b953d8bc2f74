//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox psql")]
pub struct Psql {}

/// Not written yet.
pub async fn run(_args: Psql, _sandbox: &Sandbox) -> Result<()> {
    bail!("psql: not written yet")
}
