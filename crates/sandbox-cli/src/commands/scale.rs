//! `sandbox scale`: more or fewer instances of a service. The work is in [`stack::scale`].

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use scenario_runner::conditions::consuming::ConsumingCondition;
use scenario_runner::conditions::until;
use scenario_runner::probes::Probes;
use stack::Stack;
use stack::interrupt::InterruptGuard;
use stack::layout::StackLayout;
use stack::ports::MAX_SLOTS;
use stack::terminal::{Progress, note, say};
use stack::workload::Workload;

/// How long the instances may take to consume once they are ready. A killed member keeps its partitions until its session ends
/// (6 s), and the group waits for members that work on a batch.
const CONSUMING_LIMIT: Duration = Duration::from_secs(60);

/// The new number of instances.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox scale inventory-service=3\n\nInstances are numbered from 1, each with its own port. Scaling down stops the highest numbers; 0 stops all of them.\nWaits until each instance of a service consumes: it is in its group and owns partitions, or is idle because there are more members\nthan partitions."
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
    let lock = guard.unless_interrupted(stack.lock()).await?;
    for name in stack.scale(workload, count, &guard).await? {
        note(format_args!(
            "{name} was killed and stays stopped: ./sandbox up {name}"
        ));
    }
    // Other commands need not wait for a rebalance.
    drop(lock);
    wait_until_consuming(&stack, workload, &guard).await?;
    for instance in layout.instances(workload).await? {
        say(format_args!(
            "{workload}.{}  {}",
            instance.slot, instance.url
        ));
    }
    Ok(())
}

/// Notes which partitions each instance owns. While broker or database are down on purpose, the instances cannot consume.
async fn wait_until_consuming(
    stack: &Stack<'_>,
    workload: Workload,
    guard: &InterruptGuard,
) -> Result<()> {
    let Some(service) = workload.service() else {
        return Ok(());
    };
    let none_runs = stack.layout.instances(workload).await?.is_empty();
    if none_runs || !stack.unavailable_backends()?.is_empty() {
        return Ok(());
    }
    let progress = Progress::new("waiting until every instance consumes");
    let probes = Probes::new(stack.layout)?;
    let condition = ConsumingCondition { service };
    let consuming = until(CONSUMING_LIMIT, async || probes.consuming(&condition).await);
    let seen = guard.unless_interrupted(consuming).await.with_context(|| {
        format!("the instances of {service} run, but not all of them consume: ./sandbox status")
    })?;
    drop(progress);
    note(seen);
    Ok(())
}
