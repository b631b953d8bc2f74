//! `sandbox url`: the address of a service, for `curl`.

use anyhow::Result;

use stack::sandbox::Sandbox;
use stack::target::{AnyTarget, Target};
use stack::terminal::say;
use stack::workload::Workload;

/// Which address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  curl \"$(./sandbox url inventory-service)/products\"")]
pub struct Url {
    /// A service or tool, optionally with .slot: inventory-service.2, lag-monitor; or kafka, postgres or prometheus
    #[arg(value_name = "SERVICE[.SLOT]|kafka|postgres|prometheus")]
    target: AnyTarget,
}

/// Prints the address: of the slot asked for, else of the first instance that runs, else of slot 1. Broker and database speak no
/// HTTP: of them it is host and port.
pub async fn run(args: Url, sandbox: &Sandbox) -> Result<()> {
    say(match args.target {
        AnyTarget::Kafka => sandbox.kafka().bootstrap_servers,
        AnyTarget::Postgres => sandbox.server().0.to_string(),
        AnyTarget::Prometheus => sandbox.http_url(sandbox.settings().prometheus_port),
        AnyTarget::Workload(target) => of_program(target, sandbox).await?,
    });
    Ok(())
}

async fn of_program(target: Target<Workload>, sandbox: &Sandbox) -> Result<String> {
    let Target { of, slot } = target;
    match slot {
        Some(slot) => sandbox.url(of, slot),
        None => match sandbox.instances(of).await?.into_iter().next() {
            Some(instance) => Ok(instance.url),
            None => sandbox.url(of, 1),
        },
    }
}
