//! `sandbox fetch`: everything that `up` needs, for the day when the network is bad.

use anyhow::Result;

use crate::sandbox::Sandbox;
use crate::stack::provision;
use crate::terminal::say;

/// Nothing to choose.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ./sandbox fetch && ./sandbox up --offline")]
pub struct Fetch {}

/// Brings Kafka and PostgreSQL, and builds the services.
pub async fn run(_: Fetch, sandbox: &Sandbox) -> Result<()> {
    let hold = sandbox.interrupt().hold()?;
    provision::fetch(sandbox, false, &hold).await?;
    provision::build(sandbox, false, &hold).await?;
    say("everything is here: ./sandbox up --offline needs no network");
    Ok(())
}
