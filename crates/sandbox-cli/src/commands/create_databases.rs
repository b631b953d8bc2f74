//! `sandbox create-databases`: what the container `postgres-setup` does each time the stack starts in Docker mode.

use std::time::Duration;

use anyhow::Result;
use service_kit::settings::duration_between;
use stack::container_databases::{ContainerPostgres, create_databases};
use stack::layout::StackLayout;
use stack::terminal::say;

/// How long to wait for the server.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A part of ./sandbox up where the stack runs in containers: existing databases keep their data."
)]
pub struct CreateDatabases {
    /// Retry for this time while the server cannot be reached [default: one try]
    #[arg(long, value_parser = duration_between(0, 3_600))]
    pub within: Option<Duration>,

    /// The server.
    #[command(flatten)]
    pub server: ContainerPostgres,
}

/// Creates the roles and databases that are missing.
pub async fn run(args: CreateDatabases, layout: &StackLayout) -> Result<()> {
    let side = layout.host_or_container();
    side.require_container("create-databases", "up")?;
    create_databases(&args.server, args.within.unwrap_or_default()).await?;
    say("the databases are there");
    Ok(())
}
