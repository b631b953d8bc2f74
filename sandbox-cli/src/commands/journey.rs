//! Not written yet.

use anyhow::{Result, bail};

use crate::sandbox::Sandbox;

/// Shows one order's journey (`logs --order ID`).
pub async fn run(_order: &str, _sandbox: &Sandbox) -> Result<()> {
    bail!("journey: not written yet")
}
