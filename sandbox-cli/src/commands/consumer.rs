//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox consumer")]
pub struct Consumer {}

/// Not written yet.
pub async fn run(_args: Consumer, _sandbox: &Sandbox) -> Result<()> {
    bail!("consumer: not written yet")
}
