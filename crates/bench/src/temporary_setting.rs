//! Settings changed for a measurement, and put back whatever happens.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::Result;
use shared_events::Service;

use stack::interrupt::InterruptGuard;
use stack::layout::StackLayout;
use stack::start_plan::StartPlan;
use stack::terminal::note;
use stack::{Stack, StartedInstance, settings};

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
    layout: &StackLayout,
    change: Change<'_>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let saved = stack.saved_settings()?;
    let of = |service: &Service| (*service, saved.settings(*service));
    let before: Settings = change.services.iter().map(of).collect();
    let mut during = before.clone();
    for (service, settings) in &mut during {
        settings.insert(change.name.to_owned(), change.value.to_owned());
        settings::validate(layout, *service, settings).await?;
    }
    let outcome = async {
        restart(&stack, &before, &during, &guard).await?;
        guard.unless_interrupted(work).await
    };
    let outcome = outcome.await;
    if during != before {
        note(format_args!("putting {} back", change.name));
    }
    // A signal has ended the first hold, but must not end this.
    let back = layout.interrupt().guard()?;
    let put_back = restart(&stack, &during, &before, &back).await;
    outcome.and_then(|outcome| put_back.map(|()| outcome))
}

/// Restarts the services whose settings differ; starts those of their instances that have ended.
async fn restart(
    stack: &Stack<'_>,
    before: &Settings,
    after: &Settings,
    guard: &InterruptGuard,
) -> Result<()> {
    let _lock = stack.lock().await?;
    let mut slots = Vec::new();
    let mut saved = stack.saved_settings()?;
    for (service, settings) in after {
        let known = stack.started_instances(*service)?;
        if before.get(service) == Some(settings) && known.iter().all(StartedInstance::is_alive) {
            continue;
        }
        slots.extend(known.iter().map(|one| (one.workload, one.slot)));
        saved.replace_settings(*service, settings.clone());
    }
    if slots.is_empty() {
        return Ok(());
    }
    stack.stop_instances(&slots).await?;
    saved.save(stack.state_dir().folder())?;
    let wanted = StartPlan::of_instances(slots);
    stack.start(&wanted, guard).await.map(drop)
}
