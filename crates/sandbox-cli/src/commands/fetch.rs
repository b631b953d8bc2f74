//! `sandbox fetch`: everything that `up` needs, for the day when the network is bad.

use anyhow::Result;

use stack::sandbox::Sandbox;
use stack::build;
use stack::terminal::say;

/// Nothing to choose.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ./sandbox fetch && ./sandbox up --offline")]
pub struct Fetch {}

/// Brings Kafka and PostgreSQL, and builds the services.
pub async fn run(_: Fetch, sandbox: &Sandbox) -> Result<()> {
    let hold = sandbox.interrupt().hold()?;
    build::fetch(sandbox, false, &hold).await?;
    build::build(sandbox, false, &hold).await?;
    say("everything is here: ./sandbox up --offline needs no network");
    Ok(())
}
