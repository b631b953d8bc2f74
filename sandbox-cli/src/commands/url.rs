//! `sandbox url`: the address of a service, for `curl`.

use anyhow::Result;

use crate::sandbox::Sandbox;
use crate::target::Target;
use crate::terminal::say;

/// Which address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  curl \"$(./sandbox url inventory-service)/products\"")]
pub struct Url {
    /// order-service, payment-service or inventory-service, optionally with .slot: inventory-service.2
    #[arg(value_name = "SERVICE[.SLOT]")]
    target: Target,
}

/// Prints the address: of the slot asked for, else of the first instance that runs, else of slot 1.
pub async fn run(args: Url, sandbox: &Sandbox) -> Result<()> {
    let Target { service, slot } = args.target;
    let url = match slot {
        Some(slot) => sandbox.url(service, slot)?,
        None => match sandbox.instances(service).await?.into_iter().next() {
            Some(instance) => instance.url,
            None => sandbox.url(service, 1)?,
        },
    };
    say(url);
    Ok(())
}
