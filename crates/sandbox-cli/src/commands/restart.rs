//! `sandbox restart`: stops a service and starts it again, with changed settings if any are given. The work is in
//! [`stack::restart`].

use anyhow::Result;
use stack::Stack;
use stack::layout::StackLayout;
use stack::restart::SettingsChange;
use stack::settings::{self, Assignment};
use stack::terminal::say;
use stack::workload::Workload;

/// The service, and its changed settings.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox restart inventory-service --set POISON_PRODUCT=\n  ./sandbox restart payment-service --set DELIVERY=at-least-once --set KAFKA_CONSUMER_FETCH_MIN_BYTES=1000\n  ./sandbox restart payment-service --unset DELIVERY\n\nA setting is kept until --unset, reset or down. For an unknown name, the error lists the valid ones."
)]
pub struct Restart {
    /// A service or tool: all its instances
    #[arg(value_name = "SERVICE")]
    service: Workload,

    /// Change this setting
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Assignment>,

    /// Set this setting back to its default
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,

    /// Do not wait until its instances are ready
    #[arg(long)]
    no_wait: bool,
}

/// Restarts all instances at once. Instances that had ended are started, too.
pub async fn run(args: Restart, layout: &StackLayout) -> Result<()> {
    let service = args.service;
    let mut names = args.set.iter().map(|one| &one.name).chain(&args.unset);
    names.try_for_each(|name| settings::require_known(service, name))?;

    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let _lock = guard.unless_interrupted(stack.lock()).await?;
    let change = SettingsChange {
        set: args.set,
        unset: args.unset,
    };
    let report = stack.restart(service, change, args.no_wait, &guard).await?;
    say(format_args!(
        "restarted {}{}",
        report.started.join(", "),
        changed_settings(&stack, service)?
    ));
    Ok(())
}

fn changed_settings(stack: &Stack<'_>, service: Workload) -> Result<String> {
    let changed = stack.saved_settings()?.settings(service);
    let changed: Vec<_> = changed
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Ok(match changed.is_empty() {
        true => String::new(),
        false => format!(" with {}", changed.join(" ")),
    })
}
