//! `sandbox reset-data`: the part of `./sandbox --docker reset` that needs clients of Kafka and PostgreSQL. The host may have none,
//! so it runs in a container.

use anyhow::Result;
use kafka_admin::Cluster;
use stack::backends::clear_kafka;
use stack::container_databases::{ContainerPostgres, recreate_databases};
use stack::layout::StackLayout;
use stack::terminal::say;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A part of ./sandbox reset where the stack runs in containers: topics, groups and databases are emptied. No service may run."
)]
pub struct ResetData {
    /// The database server.
    #[command(flatten)]
    pub server: ContainerPostgres,
}

/// Deletes topics, groups and databases, and recreates topics and databases.
pub async fn run(args: ResetData, layout: &StackLayout) -> Result<()> {
    let side = layout.host_or_container();
    side.require_container("reset-data", "reset")?;
    clear_kafka(&Cluster::new(&layout.kafka())?).await?;
    recreate_databases(&args.server).await?;
    say("topics, groups and databases are empty");
    Ok(())
}
