//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox fetch")]
pub struct Fetch {}

/// Not written yet.
pub async fn run(_args: Fetch, _sandbox: &Sandbox) -> Result<()> {
    bail!("fetch: not written yet")
}
