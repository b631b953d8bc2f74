//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox doctor")]
pub struct Doctor {}

/// Not written yet.
pub async fn run(_args: Doctor, _sandbox: &Sandbox) -> Result<()> {
    bail!("doctor: not written yet")
}
