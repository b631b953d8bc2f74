//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox scenario")]
pub struct Scenario {}

/// Not written yet.
pub async fn run(_args: Scenario, _sandbox: &Sandbox) -> Result<()> {
    bail!("scenario: not written yet")
}
