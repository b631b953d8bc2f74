//! `sandbox url`: prints the address of a process, for `curl`.

use anyhow::Result;
use stack::Stack;
use stack::layout::StackLayout;
use stack::target::{ProcessTarget, Target};
use stack::terminal::say;
use stack::workload::Workload;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  curl \"$(./sandbox url inventory-service)/products\"")]
pub struct Url {
    /// A service or tool, optionally with .slot: inventory-service.2, lag-monitor; or kafka, postgres or prometheus
    #[arg(value_name = "SERVICE[.SLOT]|kafka[.N]|postgres|prometheus")]
    target: ProcessTarget,
}

/// Prints the address of the given slot, else of the first running instance, else of slot 1. For broker and database, which
/// have no HTTP interface, it prints host and port.
pub async fn run(args: Url, layout: &StackLayout) -> Result<()> {
    say(match args.target {
        ProcessTarget::Kafka(None) => layout.kafka().bootstrap_servers,
        ProcessTarget::Kafka(id) => {
            let nodes = Stack::open(layout)?.nodes(id)?.into_iter();
            let addresses: Vec<_> = nodes.map(|node| layout.broker_address(node)).collect();
            addresses.join(",")
        }
        ProcessTarget::Postgres => layout.postgres_server().0.to_string(),
        ProcessTarget::Prometheus => layout.http_url(layout.settings().ports.prometheus_port),
        ProcessTarget::Workload(target) => workload_url(target, layout).await?,
    });
    Ok(())
}

async fn workload_url(target: Target<Workload>, layout: &StackLayout) -> Result<String> {
    let Target { of, slot } = target;
    match slot {
        Some(slot) => layout.url(of, slot),
        None => match layout.instances(of).await?.into_iter().next() {
            Some(instance) => Ok(instance.url),
            None => layout.url(of, 1),
        },
    }
}
