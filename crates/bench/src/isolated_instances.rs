//! Which instances run during a measurement, and with which setting; put back whatever happens.

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

/// Who ran before, and how inventory-service was set.
#[derive(Debug, Clone)]
struct Before {
    lived: Vec<InstanceId>,
    known: Vec<InstanceId>,
    settings: BTreeMap<String, String>,
}

/// Does the work with nobody on stage but who [`inventory`] brings there, and puts everybody and the settings back: also when
/// the work fails, and on Ctrl-C, which ends the work.
pub async fn alone<T>(layout: &StackLayout, work: impl Future<Output = Result<T>>) -> Result<T> {
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let before = Before::of(&stack)?;
    if before.lived.is_empty() {
        bail!("no service runs: ./sandbox up");
    }
    let outcome = guard.unless_interrupted(work).await;
    note("putting services and settings back");
    // A signal has ended the first hold, but must not end this.
    let back = layout.interrupt().guard()?;
    let put_back = before.put_back(&stack, &back).await;
    outcome.and_then(|outcome| put_back.map(|()| outcome))
}

/// Ends every service and tool, and starts this many instances of inventory-service, which settle in this way.
pub async fn inventory(
    layout: &StackLayout,
    members: u32,
    delivery: &str,
) -> Result<Vec<Instance>> {
    // Those that are started are ended by `alone`, on a signal too.
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let most = layout.max_slots(Service::Inventory);
    if members > most {
        bail!("{members} members are needed, and INVENTORY_PORTS has room for {most}");
    }
    let _lock = stack.lock().await?;
    let alive = slots(&stack, StartedInstance::is_alive)?;
    stack.stop_instances(&alive).await?;
    let mut saved = stack.saved_settings()?;
    let mut settings = saved.settings(Service::Inventory);
    settings.insert(DELIVERY.to_owned(), delivery.to_owned());
    settings::validate(layout, Service::Inventory, &settings).await?;
    saved.replace_settings(Service::Inventory, settings);
    saved.save(stack.state_dir().folder())?;
    let slots = (1..=members)
        .map(|slot| (Service::Inventory.into(), slot))
        .collect();
    let wanted = StartPlan::of_instances(slots);
    stack.start(&wanted, &guard).await?;
    layout.instances(Service::Inventory).await
}

fn slots(stack: &Stack<'_>, which: impl Fn(&StartedInstance) -> bool) -> Result<Vec<InstanceId>> {
    let mut slots = Vec::new();
    for workload in Workload::ALL {
        let known = stack.started_instances(workload)?.into_iter();
        slots.extend(known.filter(&which).map(|one| (workload, one.slot)));
    }
    Ok(slots)
}

impl Before {
    fn of(stack: &Stack<'_>) -> Result<Self> {
        Ok(Self {
            lived: slots(stack, StartedInstance::is_alive)?,
            known: slots(stack, |_| true)?,
            settings: stack.saved_settings()?.settings(Service::Inventory),
        })
    }

    async fn put_back(self, stack: &Stack<'_>, guard: &InterruptGuard) -> Result<()> {
        let _lock = stack.lock().await?;
        let members = slots(stack, |one| one.workload == Service::Inventory.into())?;
        stack.stop_instances(&members).await?;
        let mut saved = stack.saved_settings()?;
        saved.replace_settings(Service::Inventory, self.settings);
        saved.save(stack.state_dir().folder())?;
        for one in stack.started_instances(Service::Inventory)? {
            if !self.known.contains(&(one.workload, one.slot)) {
                stack.processes.forget(&one.record.name)?;
            }
        }
        let wanted = StartPlan::of_instances(self.lived);
        stack.start(&wanted, guard).await.map(drop)
    }
}
