//! Which instances run during a measurement, and with which setting; put back whatever happens.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::{Result, bail};
use shared_events::Service;

use super::temporary_setting::DELIVERY;
use stack::sandbox::{Instance, Sandbox};
use stack::interrupt::Hold;
use stack::services::Slot;
use stack::start::Wanted;
use stack::{Known, Stack, settings};
use stack::terminal::note;
use stack::workload::Workload;

/// Who ran before, and how inventory-service was set.
#[derive(Debug, Clone)]
struct Before {
    lived: Vec<Slot>,
    known: Vec<Slot>,
    settings: BTreeMap<String, String>,
}

/// Does the work with nobody on stage but who [`inventory`] brings there, and puts everybody and the settings back: also when
/// the work fails, and on Ctrl-C, which ends the work.
pub async fn alone<T>(sandbox: &Sandbox, work: impl Future<Output = Result<T>>) -> Result<T> {
    let hold = sandbox.interrupt().hold()?;
    let stack = Stack::open(sandbox)?;
    let before = Before::of(&stack)?;
    if before.lived.is_empty() {
        bail!("no service runs: ./sandbox up");
    }
    let outcome = hold.or(work).await;
    note("putting services and settings back");
    // A signal has ended the first hold, but must not end this.
    let back = sandbox.interrupt().hold()?;
    let put_back = before.put_back(&stack, &back).await;
    outcome.and_then(|outcome| put_back.map(|()| outcome))
}

/// Ends every service and tool, and starts this many instances of inventory-service, which settle in this way.
pub async fn inventory(sandbox: &Sandbox, members: u32, delivery: &str) -> Result<Vec<Instance>> {
    // Those that are started are ended by `alone`, on a signal too.
    let hold = sandbox.interrupt().hold()?;
    let stack = Stack::open(sandbox)?;
    let most = sandbox.slots(Service::Inventory);
    if members > most {
        bail!("{members} members are needed, and INVENTORY_PORTS has room for {most}");
    }
    let _lock = stack.lock().await?;
    let alive = slots(&stack, Known::lives)?;
    stack.stop_instances(&alive).await?;
    let mut memory = stack.memory()?;
    let mut settings = memory.settings(Service::Inventory);
    settings.insert(DELIVERY.to_owned(), delivery.to_owned());
    settings::check(sandbox, Service::Inventory, &settings).await?;
    memory.change(Service::Inventory, settings);
    memory.save(stack.home().folder())?;
    let slots = (1..=members)
        .map(|slot| (Service::Inventory.into(), slot))
        .collect();
    let wanted = Wanted {
        slots,
        ..Wanted::default()
    };
    stack.bring(&wanted, &hold).await?;
    sandbox.instances(Service::Inventory).await
}

fn slots(stack: &Stack<'_>, which: impl Fn(&Known) -> bool) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    for workload in Workload::ALL {
        let known = stack.known(workload)?.into_iter();
        slots.extend(known.filter(&which).map(|one| (workload, one.slot)));
    }
    Ok(slots)
}

impl Before {
    fn of(stack: &Stack<'_>) -> Result<Self> {
        Ok(Self {
            lived: slots(stack, Known::lives)?,
            known: slots(stack, |_| true)?,
            settings: stack.memory()?.settings(Service::Inventory),
        })
    }

    async fn put_back(self, stack: &Stack<'_>, hold: &Hold) -> Result<()> {
        let _lock = stack.lock().await?;
        let members = slots(stack, |one| one.workload == Service::Inventory.into())?;
        stack.stop_instances(&members).await?;
        let mut memory = stack.memory()?;
        memory.change(Service::Inventory, self.settings);
        memory.save(stack.home().folder())?;
        for one in stack.known(Service::Inventory)? {
            if !self.known.contains(&(one.workload, one.slot)) {
                stack.processes.forget(&one.record.name)?;
            }
        }
        let wanted = Wanted {
            slots: self.lived,
            ..Wanted::default()
        };
        stack.bring(&wanted, hold).await.map(drop)
    }
}
