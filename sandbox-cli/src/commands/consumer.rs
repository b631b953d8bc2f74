//! `sandbox consumer`: pauses and resumes the members of a service's group, each instance by its own HTTP interface.

use anyhow::{Result, bail};

use crate::observer::instances;
use crate::sandbox::Sandbox;
use crate::shop::Shop;
use crate::target::Target;
use crate::terminal::say;

/// What to ask of which members.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox consumer pause inventory-service\n  ./sandbox consumer resume inventory-service.2\n\nA paused member stays in its group and keeps its partitions: they wait. Resuming also goes on after the poison limit."
)]
pub struct Consumer {
    /// What.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What members can be asked.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Take no more records
    Pause(Whom),
    /// Take records again
    Resume(Whom),
}

/// Which members.
#[derive(Debug, clap::Args)]
pub struct Whom {
    /// All running instances of a service, or one
    #[arg(value_name = "SERVICE[.SLOT]")]
    pub target: Target,
}

/// Asks each of them.
pub async fn run(args: Consumer, sandbox: &Sandbox) -> Result<()> {
    let (verb, whom) = match &args.verb {
        Verb::Pause(whom) => ("pause", whom),
        Verb::Resume(whom) => ("resume", whom),
    };
    let running = instances(sandbox, whom.target).await?;
    if running.is_empty() {
        bail!(
            "no instance of {} runs: ./sandbox up starts it",
            whom.target
        );
    }
    let shop = Shop::new(sandbox)?;
    for instance in running {
        let answer = shop.control(&instance, verb).await?;
        let (service, slot) = (instance.workload, instance.slot);
        say(format_args!("{service}.{slot} is {}", answer.status));
    }
    Ok(())
}
