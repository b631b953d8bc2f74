//! `sandbox fetch`: downloads and builds everything that `up` needs, so that `up --offline` works later.

use anyhow::Result;
use stack::build;
use stack::layout::StackLayout;
use stack::terminal::say;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ./sandbox fetch && ./sandbox up --offline")]
pub struct Fetch {}

/// Downloads Kafka and PostgreSQL, and builds the services.
pub async fn run(_: Fetch, layout: &StackLayout) -> Result<()> {
    let guard = layout.interrupt().guard()?;
    build::fetch(layout, false, &guard).await?;
    build::build(layout, false, &guard).await?;
    say("everything is here: ./sandbox up --offline needs no network");
    Ok(())
}
