//! Settings changed for a measurement, and put back whatever happens.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::Result;
use shared_events::Service;

use stack::sandbox::Sandbox;
use stack::interrupt::Hold;
use stack::start::Wanted;
use stack::{Known, Stack, settings};
use stack::terminal::note;

/// The setting that says how services settle.
pub const DELIVERY: &str = "DELIVERY";

/// How services settle unless they are told otherwise.
pub const DEFAULT_DELIVERY: &str = "exactly-once";

/// One setting of some services.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Whose.
    pub services: &'a [Service],
    /// Its name.
    pub name: &'a str,
    /// What it is during the measurement.
    pub value: &'a str,
}

type Settings = BTreeMap<Service, BTreeMap<String, String>>;

/// Does the work with the setting changed, and puts it back: also when the work fails, and on Ctrl-C, which ends the work. The
/// services are restarted for both; they are not when the setting is so already.
pub async fn with<T>(
    sandbox: &Sandbox,
    change: Change<'_>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let hold = sandbox.interrupt().hold()?;
    let stack = Stack::open(sandbox)?;
    let memory = stack.memory()?;
    let of = |service: &Service| (*service, memory.settings(*service));
    let before: Settings = change.services.iter().map(of).collect();
    let mut during = before.clone();
    for (service, settings) in &mut during {
        settings.insert(change.name.to_owned(), change.value.to_owned());
        settings::check(sandbox, *service, settings).await?;
    }
    let outcome = async {
        restart(&stack, &before, &during, &hold).await?;
        hold.or(work).await
    };
    let outcome = outcome.await;
    if during != before {
        note(format_args!("putting {} back", change.name));
    }
    // A signal has ended the first hold, but must not end this.
    let back = sandbox.interrupt().hold()?;
    let put_back = restart(&stack, &during, &before, &back).await;
    outcome.and_then(|outcome| put_back.map(|()| outcome))
}

/// Restarts the services whose settings differ; starts those of their instances that have ended.
async fn restart(
    stack: &Stack<'_>,
    before: &Settings,
    after: &Settings,
    hold: &Hold,
) -> Result<()> {
    let _lock = stack.lock().await?;
    let mut slots = Vec::new();
    let mut memory = stack.memory()?;
    for (service, settings) in after {
        let known = stack.known(*service)?;
        if before.get(service) == Some(settings) && known.iter().all(Known::lives) {
            continue;
        }
        slots.extend(known.iter().map(|one| (one.workload, one.slot)));
        memory.change(*service, settings.clone());
    }
    if slots.is_empty() {
        return Ok(());
    }
    stack.stop_instances(&slots).await?;
    memory.save(stack.home().folder())?;
    let wanted = Wanted {
        slots,
        ..Wanted::default()
    };
    stack.bring(&wanted, hold).await.map(drop)
}
