//! Runs instances of inventory-service alone for a measurement, and restores the other instances
//! and the settings however the measurement ends.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::{Result, bail};
use shared_events::Service;

use super::temporary_setting::DELIVERY;
use stack::instances::InstanceId;
use stack::interrupt::InterruptGuard;
use stack::layout::{Instance, StackLayout};
use stack::start_plan::StartPlan;
use stack::terminal::note;
use stack::workload::Workload;
use stack::{Stack, StartedInstance, settings};

/// The instances of the stack and the settings of inventory-service before the measurement.
#[derive(Debug, Clone)]
struct InstancesBefore {
    alive: Vec<InstanceId>,
    /// Also those that have ended.
    started: Vec<InstanceId>,
    settings: BTreeMap<String, String>,
}

/// Runs the work, which may call [`start_inventory_alone`], and restores instances and settings:
/// also when the work fails, and on Ctrl-C, which ends the work.
///
/// # Errors
/// Also if no service runs.
pub async fn restoring_instances<T>(
    layout: &StackLayout,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let before = InstancesBefore::read(&stack)?;
    if before.alive.is_empty() {
        bail!("no service runs: ./sandbox up");
    }
    let outcome = guard.unless_interrupted(work).await;
    note("restoring services and settings");
    // The first guard is interrupted after a signal, so the restoration needs a guard of its own.
    let restore_guard = layout.interrupt().guard()?;
    let restored = before.restore(&stack, &restore_guard).await;
    outcome.and_then(|outcome| restored.map(|()| outcome))
}

/// Stops every service and tool, and starts this many instances of inventory-service with this
/// delivery mode. Call it inside [`restoring_instances`].
pub async fn start_inventory_alone(
    layout: &StackLayout,
    members: u32,
    delivery: &str,
) -> Result<Vec<Instance>> {
    // `restoring_instances` stops the instances that are started here, after a signal too.
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let max = layout.max_slots(Service::Inventory);
    if members > max {
        bail!("{members} members are needed, and INVENTORY_PORTS has room for {max}");
    }
    let _lock = stack.lock().await?;
    let alive = instances(&stack, StartedInstance::is_alive)?;
    stack.stop_instances(&alive).await?;
    let mut saved = stack.saved_settings()?;
    let mut settings = saved.settings(Service::Inventory);
    settings.insert(DELIVERY.to_owned(), delivery.to_owned());
    settings::validate(layout, Service::Inventory, &settings).await?;
    saved.replace_settings(Service::Inventory, settings);
    saved.save(stack.state_dir().folder())?;
    let members = (1..=members)
        .map(|slot| (Service::Inventory.into(), slot))
        .collect();
    let plan = StartPlan::of_instances(members);
    stack.start(&plan, &guard).await?;
    layout.instances(Service::Inventory).await
}

fn instances(
    stack: &Stack<'_>,
    matches: impl Fn(&StartedInstance) -> bool,
) -> Result<Vec<InstanceId>> {
    let mut instances = Vec::new();
    for workload in Workload::ALL {
        let started = stack.started_instances(workload)?.into_iter();
        instances.extend(started.filter(&matches).map(|one| (workload, one.slot)));
    }
    Ok(instances)
}

impl InstancesBefore {
    fn read(stack: &Stack<'_>) -> Result<Self> {
        Ok(Self {
            alive: instances(stack, StartedInstance::is_alive)?,
            started: instances(stack, |_| true)?,
            settings: stack.saved_settings()?.settings(Service::Inventory),
        })
    }

    async fn restore(self, stack: &Stack<'_>, guard: &InterruptGuard) -> Result<()> {
        let _lock = stack.lock().await?;
        let members = instances(stack, |one| one.workload == Service::Inventory.into())?;
        stack.stop_instances(&members).await?;
        let mut saved = stack.saved_settings()?;
        saved.replace_settings(Service::Inventory, self.settings);
        saved.save(stack.state_dir().folder())?;
        for one in stack.started_instances(Service::Inventory)? {
            if !self.started.contains(&(one.workload, one.slot)) {
                stack.processes.forget(&one.record.name)?;
            }
        }
        let plan = StartPlan::of_instances(self.alive);
        stack.start(&plan, guard).await.map(drop)
    }
}
