//! `sandbox down`: stops everything. The work is in [`stack::stop`].

use std::time::Instant;

use anyhow::Result;
use faults::broken::{self, BrokenFaults};
use faults::mystery_state;
use stack::Stack;
use stack::layout::StackLayout;
use stack::terminal::{Progress, say};

/// Whether to keep the data.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox down\n  ./sandbox down --reset     also removes topics, databases and logs\n\nServices stop first (SIGTERM; SIGKILL if a service does not drain in time), then broker and database. Changed settings go back to their defaults."
)]
pub struct Down {
    /// Remove all data and logs, too
    #[arg(long)]
    pub reset: bool,
}

/// Stops everything, and removes the data if asked.
pub async fn run(args: Down, layout: &StackLayout) -> Result<()> {
    if !layout.home().exists() {
        say("nothing runs");
        return Ok(());
    }
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let _lock = guard.unless_interrupted(stack.lock()).await?;
    let begun = Instant::now();
    let stopped = {
        let _progress = Progress::new("stopping");
        stack.stop_everything().await?
    };
    match stopped.as_slice() {
        [] => say("nothing runs"),
        names => say(format_args!(
            "stopped {} in {:.1} s",
            names.join(", "),
            begun.elapsed().as_secs_f64()
        )),
    }
    // A damaged file must not keep a person from stopping the stack.
    if let Ok(mut broken) = BrokenFaults::load(layout.home()) {
        broken.after_down(layout.home())?;
    }
    if args.reset {
        broken::forget(layout.home())?;
        mystery_state::forget(layout.home())?;
        stack.remove_data()?;
        say(format_args!(
            "removed all data and logs in {}",
            layout.home().display()
        ));
    }
    Ok(())
}
