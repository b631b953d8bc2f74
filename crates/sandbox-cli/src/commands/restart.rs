//! `sandbox restart`: a service stopped and started again, with other settings if asked.

use anyhow::{Result, bail};

use stack::sandbox::Sandbox;
use stack::Stack;
use stack::settings::{self, Assignment};
use stack::start::Wanted;
use stack::terminal::say;
use stack::workload::Workload;

/// Which service, and what changes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox restart inventory-service --set POISON_PRODUCT=\n  ./sandbox restart payment-service --set DELIVERY=at-least-once --set KAFKA_CONSUMER_FETCH_MIN_BYTES=1000\n  ./sandbox restart payment-service --unset DELIVERY\n\nA setting is kept until --unset, reset or down. A name that is not a setting is answered with the list."
)]
pub struct Restart {
    /// A service or tool: all its instances
    #[arg(value_name = "SERVICE")]
    service: Workload,

    /// Set this setting from now on
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Assignment>,

    /// Go back to this setting's default
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,

    /// Do not wait until its instances are ready
    #[arg(long)]
    no_wait: bool,
}

/// Stops all instances at once and starts them again; waits until they are ready, unless told not to. Instances that had ended are started too.
pub async fn run(args: Restart, sandbox: &Sandbox) -> Result<()> {
    let service = args.service;
    let mut names = args.set.iter().map(|one| &one.name).chain(&args.unset);
    names.try_for_each(|name| settings::known(service, name))?;

    let hold = sandbox.interrupt().hold()?;
    let stack = Stack::open(sandbox)?;
    let _lock = hold.or(stack.lock()).await?;
    let slots: Vec<_> = stack
        .known(service)?
        .iter()
        .map(|one| (service, one.slot))
        .collect();
    if slots.is_empty() {
        bail!("{service} was not started: ./sandbox up {service}");
    }
    let mut memory = stack.memory()?;
    let mut changed = memory.settings(service);
    changed.retain(|name, _| !args.unset.contains(name));
    changed.extend(args.set.into_iter().map(|one| (one.name, one.value)));
    settings::check(sandbox, service, &changed).await?;

    stack.stop_instances(&slots).await?;
    memory.change(service, changed);
    memory.save(stack.home().folder())?;
    let wanted = Wanted {
        slots,
        no_wait: args.no_wait,
        ..Wanted::default()
    };
    let brought = stack.bring(&wanted, &hold).await?;
    say(format_args!(
        "restarted {}{}",
        brought.started.join(", "),
        with(&stack, service)?
    ));
    Ok(())
}

fn with(stack: &Stack<'_>, service: Workload) -> Result<String> {
    let changed = stack.memory()?.settings(service);
    let changed: Vec<_> = changed
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Ok(match changed.is_empty() {
        true => String::new(),
        false => format!(" with {}", changed.join(" ")),
    })
}
