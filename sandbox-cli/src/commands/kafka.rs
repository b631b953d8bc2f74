//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox kafka")]
pub struct Kafka {}

/// Not written yet.
pub async fn run(_args: Kafka, _sandbox: &Sandbox) -> Result<()> {
    bail!("kafka: not written yet")
}
