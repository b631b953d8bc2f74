//! `sandbox url`: the address of a service, for `curl`.

use anyhow::Result;

use crate::sandbox::Sandbox;
use crate::target::Target;
use crate::terminal::say;
use crate::workload::Workload;

/// Which address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  curl \"$(./sandbox url inventory-service)/products\"")]
pub struct Url {
    /// A service or tool, optionally with .slot: inventory-service.2, lag-monitor
    #[arg(value_name = "SERVICE[.SLOT]")]
    target: Target<Workload>,
}

/// Prints the address: of the slot asked for, else of the first instance that runs, else of slot 1.
pub async fn run(args: Url, sandbox: &Sandbox) -> Result<()> {
    let Target { of, slot } = args.target;
    let url = match slot {
        Some(slot) => sandbox.url(of, slot)?,
        None => match sandbox.instances(of).await?.into_iter().next() {
            Some(instance) => instance.url,
            None => sandbox.url(of, 1)?,
        },
    };
    say(url);
    Ok(())
}
