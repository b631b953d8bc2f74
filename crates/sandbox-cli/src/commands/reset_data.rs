//! `sandbox reset-data`: the part of `./sandbox --docker reset` that needs a Kafka client. The host may have none, so it runs
//! in a container.

use anyhow::Result;
use kafka_admin::Cluster;
use stack::backends::clear_kafka;
use stack::layout::StackLayout;
use stack::terminal::say;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A part of ./sandbox reset where the stack runs in containers: topics and groups are emptied. No service may run."
)]
pub struct ResetData {}

/// Deletes topics and groups, and recreates the topics. The database container empties the databases.
pub async fn run(_: ResetData, layout: &StackLayout) -> Result<()> {
    let side = layout.host_or_container();
    side.require_container("reset-data", "reset")?;
    clear_kafka(&Cluster::new(&layout.kafka())?).await?;
    say("topics and groups are empty");
    Ok(())
}
