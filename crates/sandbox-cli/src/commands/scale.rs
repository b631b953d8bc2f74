//! `sandbox scale`: more or fewer instances of a service. The work is in [`stack::scale`].

use std::str::FromStr;

use anyhow::Result;
use stack::Stack;
use stack::layout::StackLayout;
use stack::ports::MAX_SLOTS;
use stack::terminal::{note, say};
use stack::workload::Workload;

/// The new number of instances.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox scale inventory-service=3\n\nInstances are numbered from 1, each with its own port. Scaling down stops the highest numbers; 0 stops all of them."
)]
pub struct Scale {
    /// The service and its new number of instances
    #[arg(value_name = "SERVICE=N")]
    to: InstanceCount,
}

/// `inventory-service=3`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InstanceCount {
    workload: Workload,
    count: u32,
}

impl FromStr for InstanceCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, count) = text
            .split_once('=')
            .ok_or("must be SERVICE=N, as in inventory-service=3")?;
        Ok(Self {
            workload: name.parse().map_err(|limit| format!("{name}: {limit}"))?,
            count: count
                .parse()
                .map_err(|_| format!("{count}: must be a whole number from 0 to {MAX_SLOTS}"))?,
        })
    }
}

/// Scales, and prints the address of each running instance.
pub async fn run(args: Scale, layout: &StackLayout) -> Result<()> {
    let InstanceCount { workload, count } = args.to;
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let _lock = guard.unless_interrupted(stack.lock()).await?;
    for name in stack.scale(workload, count, &guard).await? {
        note(format_args!(
            "{name} was killed and stays stopped: ./sandbox up {name}"
        ));
    }
    for instance in layout.instances(workload).await? {
        say(format_args!(
            "{workload}.{}  {}",
            instance.slot, instance.url
        ));
    }
    Ok(())
}
