//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox dlq")]
pub struct Dlq {}

/// Not written yet.
pub async fn run(_args: Dlq, _sandbox: &Sandbox) -> Result<()> {
    bail!("dlq: not written yet")
}
