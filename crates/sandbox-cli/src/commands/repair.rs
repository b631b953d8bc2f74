//! `sandbox repair`: undoes faults that `break` caused.

use anyhow::{Context, Result, bail};
use faults::broken::{self, BrokenFaults};
use faults::{Fault, find};
use stack::layout::StackLayout;
use stack::terminal::{Usage, error, note, say};

use super::break_fault;
use super::fault_commands::{run_all, until_there};
use super::mystery;

/// The fault.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox repair                  everything that is broken\n  ./sandbox repair broker-frozen\n\n./sandbox status shows what is broken."
)]
pub struct Repair {
    /// The fault; without it, every fault that was caused
    #[arg(value_name = "FAULT", value_parser = break_fault::fault)]
    fault: Option<&'static Fault>,
}

/// Undoes one fault, or all.
pub async fn run(args: Repair, layout: &StackLayout) -> Result<()> {
    mystery::refuse_while_running(layout)?;
    let broken = BrokenFaults::load(layout.home())?;
    let names = match args.fault {
        Some(fault) if !broken.contains(fault.name) => {
            return Err(Usage::error(format_args!(
                "{} is not broken: ./sandbox status shows what is",
                fault.name
            )));
        }
        Some(fault) => vec![fault.name.to_owned()],
        // What was broken last is repaired first: it may need what was broken before.
        None => broken
            .faults
            .into_iter()
            .rev()
            .map(|one| one.name)
            .collect(),
    };
    if names.is_empty() {
        return Err(Usage::error("nothing is broken"));
    }
    repair(&names, layout).await
}

/// Undoes these faults, in this order. One that cannot be undone does not keep the others from it.
pub async fn repair(names: &[String], layout: &StackLayout) -> Result<()> {
    let home = layout.home();
    let _lock = broken::lock(home).await?;
    let mut failed = 0;
    for name in names {
        let mut broken = BrokenFaults::load(home)?;
        if !broken.contains(name) {
            note(format_args!("{name} was repaired by another command"));
            continue;
        }
        match undo(name, layout).await {
            Ok(()) => broken.remove(home, name)?,
            Err(why) => {
                error(&why);
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        one => bail!("{one} of {} could not be repaired", names.len()),
    }
}

async fn undo(name: &str, layout: &StackLayout) -> Result<()> {
    let fault = find(name)
        .with_context(|| format!("{name} is a fault of another version: ./sandbox reset"))?;
    run_all(fault.undo)
        .await
        .with_context(|| format!("{name} is still broken"))?;
    if fault.remains.is_none() && !until_there(fault, layout, false).await {
        bail!("{name} was undone, and is still there: ./sandbox status");
    }
    say(format_args!("{name} is repaired"));
    if let Some(remains) = fault.remains {
        note(format_args!("not brought back: {remains}"));
    }
    Ok(())
}
