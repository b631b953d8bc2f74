//! `sandbox reset-data`: the part of `reset` that needs a Kafka client, for a host that has none.

use anyhow::Result;
use kafka_admin::Cluster;

use stack::sandbox::Sandbox;
use stack::backends::empty_kafka;
use stack::terminal::say;

/// Nothing to choose.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A part of ./sandbox reset where the stack runs in containers: topics and groups are emptied. No service may run."
)]
pub struct ResetData {}

/// Empties topics and groups, and makes the topics again. The databases are emptied in their own container.
pub async fn run(_: ResetData, sandbox: &Sandbox) -> Result<()> {
    sandbox.vantage().require_inside("reset-data", "reset")?;
    empty_kafka(&Cluster::new(&sandbox.kafka())?).await?;
    say("topics and groups are empty");
    Ok(())
}
