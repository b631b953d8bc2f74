//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox expect")]
pub struct Expect {}

/// Not written yet.
pub async fn run(_args: Expect, _sandbox: &Sandbox) -> Result<()> {
    bail!("expect: not written yet")
}
