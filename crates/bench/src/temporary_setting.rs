//! Changes a setting for a measurement, and restores it however the measurement ends.

use std::collections::BTreeMap;
use std::future::Future;

use anyhow::Result;
use shared_events::Service;

use stack::interrupt::InterruptGuard;
use stack::layout::StackLayout;
use stack::start_plan::StartPlan;
use stack::terminal::note;
use stack::{Stack, StartedInstance, settings};

/// The setting of the services' delivery mode.
pub const DELIVERY: &str = "DELIVERY";

/// The services' own default of [`DELIVERY`].
pub const DEFAULT_DELIVERY: &str = "exactly-once";

/// One setting of some services during a measurement.
#[derive(Debug, Clone, Copy)]
pub struct SettingChange<'a> {
    pub services: &'a [Service],
    pub name: &'a str,
    pub value: &'a str,
}

type SettingsByService = BTreeMap<Service, BTreeMap<String, String>>;

/// Runs the work with the setting changed, and restores the setting: also when the work fails, and
/// on Ctrl-C, which ends the work. Both times, the services are restarted whose settings differ.
pub async fn with_setting<T>(
    layout: &StackLayout,
    change: SettingChange<'_>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let guard = layout.interrupt().guard()?;
    let stack = Stack::open(layout)?;
    let saved = stack.saved_settings()?;
    let of = |service: &Service| (*service, saved.settings(*service));
    let before: SettingsByService = change.services.iter().map(of).collect();
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
        note(format_args!("restoring {}", change.name));
    }
    // The first guard is interrupted after a signal, so the restoration needs a guard of its own.
    let restore_guard = layout.interrupt().guard()?;
    let restored = restart(&stack, &during, &before, &restore_guard).await;
    outcome.and_then(|outcome| restored.map(|()| outcome))
}

/// Restarts the services whose settings differ, and those with an instance that has ended.
async fn restart(
    stack: &Stack<'_>,
    before: &SettingsByService,
    after: &SettingsByService,
    guard: &InterruptGuard,
) -> Result<()> {
    let _lock = stack.lock().await?;
    let mut instances = Vec::new();
    let mut saved = stack.saved_settings()?;
    for (service, settings) in after {
        let started = stack.started_instances(*service)?;
        if before.get(service) == Some(settings) && started.iter().all(StartedInstance::is_alive) {
            continue;
        }
        instances.extend(started.iter().map(|one| (one.workload, one.slot)));
        saved.replace_settings(*service, settings.clone());
    }
    if instances.is_empty() {
        return Ok(());
    }
    stack.stop_instances(&instances).await?;
    saved.save(stack.state_dir().folder())?;
    let plan = StartPlan::of_instances(instances);
    stack.start(&plan, guard).await.map(drop)
}
