//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox kill -9 inventory-service.1")]
pub struct Kill {}
/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox pause postgres")]
pub struct Pause {}
/// Not written yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox continue postgres")]
pub struct Continue {}

/// Not written yet.
pub async fn kill(_args: Kill, _sandbox: &Sandbox) -> Result<()> {
    bail!("not written yet")
}
/// Not written yet.
pub async fn pause(_args: Pause, _sandbox: &Sandbox) -> Result<()> {
    bail!("not written yet")
}
/// Not written yet.
pub async fn resume(_args: Continue, _sandbox: &Sandbox) -> Result<()> {
    bail!("not written yet")
}
