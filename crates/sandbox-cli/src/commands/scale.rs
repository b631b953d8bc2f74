//! `sandbox scale`: more or fewer instances of a service.

use std::str::FromStr;

use anyhow::{Result, bail};

use stack::sandbox::{MAX_SLOTS, Sandbox};
use stack::start::Wanted;
use stack::{Stack, process_name};
use stack::terminal::{Usage, note, say};
use stack::workload::Workload;

/// How many of what.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox scale inventory-service=3\n\nInstances are numbered from 1, each with its own port. Scaling down stops the highest numbers."
)]
pub struct Scale {
    /// The service and how many instances it shall have
    #[arg(value_name = "SERVICE=N")]
    to: Count,
}

/// `inventory-service=3`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    service: Workload,
    count: u32,
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, count) = text
            .split_once('=')
            .ok_or("must be SERVICE=N, as in inventory-service=3")?;
        Ok(Self {
            service: name.parse().map_err(|limit| format!("{name}: {limit}"))?,
            count: count
                .parse()
                .map_err(|_| format!("{count}: must be a whole number from 0 to {MAX_SLOTS}"))?,
        })
    }
}

/// Starts or stops instances until there are as many, and waits until they are ready.
pub async fn run(args: Scale, sandbox: &Sandbox) -> Result<()> {
    let Count { service, count } = args.to;
    let most = sandbox.slots(service);
    if count > most {
        return Err(Usage::error(format_args!(
            "{service} can have at most {most} instance{}",
            if most == 1 { "" } else { "s" }
        )));
    }
    let hold = sandbox.interrupt().hold()?;
    let stack = Stack::open(sandbox)?;
    let _lock = hold.or(stack.lock()).await?;
    if stack.running()?.is_empty() {
        bail!("nothing runs: ./sandbox up, then scale");
    }
    stop_above(&stack, service, count).await?;

    let memory = stack.memory()?;
    let (mut wanted, mut dead) = (Wanted::default(), Vec::new());
    for slot in 1..=count {
        let name = process_name(service, slot);
        match memory.is_killed(&name) {
            true => dead.push(name),
            false => wanted.slots.push((service, slot)),
        }
    }
    stack.bring(&wanted, &hold).await?;
    for name in dead {
        note(format_args!(
            "{name} was killed and stays dead: ./sandbox up {name}"
        ));
    }
    for instance in sandbox.instances(service).await? {
        say(format_args!(
            "{service}.{}  {}",
            instance.slot, instance.url
        ));
    }
    Ok(())
}

/// Stops the instances whose number is too high, and forgets that there were any.
async fn stop_above(stack: &Stack<'_>, service: Workload, count: u32) -> Result<()> {
    let mut surplus = stack.known(service)?;
    surplus.retain(|one| one.slot > count);
    let slots: Vec<_> = surplus.iter().map(|one| (service, one.slot)).collect();
    stack.stop_instances(&slots).await?;
    let mut memory = stack.memory()?;
    for one in surplus {
        memory.wanted(&one.record.name);
        stack.processes.forget(&one.record.name)?;
    }
    memory.save(stack.home().folder())
}
