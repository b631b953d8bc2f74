//! `sandbox reset`: empties the stack and starts what ran. The work is in [`stack::reset`].

use std::time::Instant;

use anyhow::Result;
use faults::broken::{self, BrokenFaults};
use stack::Stack;
use stack::layout::StackLayout;
use stack::terminal::{note, say};

use super::{mystery, repair};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox reset\n\nRemoves orders, stock, topics, groups, changed settings and the data of Prometheus. What ran runs again afterwards."
)]
pub struct Reset {}

/// Resets, and prints what runs.
pub async fn run(_: Reset, layout: &StackLayout) -> Result<()> {
    mystery::end_before_reset(layout).await?;
    repair_all(layout).await;
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let _lock = guard.unless_interrupted(stack.lock()).await?;
    let begun = Instant::now();
    let report = stack.reset(&guard).await?;
    broken::forget(layout.home())?;
    say(format_args!(
        "empty again after {:.1} s; running: {}",
        begun.elapsed().as_secs_f64(),
        match report.started.as_slice() {
            [] => "broker and database".to_owned(),
            names => names.join(", "),
        }
    ));
    Ok(())
}

/// Undoes the faults first, so that what they stopped runs again. One that cannot be undone is no reason to keep the data.
async fn repair_all(layout: &StackLayout) {
    let broken = BrokenFaults::load(layout.home()).unwrap_or_default();
    let names: Vec<String> = broken.faults.into_iter().map(|one| one.name).collect();
    if !names.is_empty()
        && let Err(error) = repair::repair(&names, layout).await
    {
        note(format_args!("{error:#}"));
    }
}
