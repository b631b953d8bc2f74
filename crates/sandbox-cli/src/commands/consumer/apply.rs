//! Sets the controls of a group or of one member, and waits until they apply.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::join_all;
use kafka_admin::Cluster;
use kafka_admin::member_controls::{EffectiveConfig, Source};
use scenario_runner::conditions::controls::shown;
use scenario_runner::conditions::{Observation, until};
use scenario_runner::probes::instances;
use shared_events::{GroupControls, Service};
use stack::layout::StackLayout;
use stack::shop_client::ShopClient;
use stack::target::Target;
use stack::terminal::{Usage, note, say};

use super::{configs, name};

/// How long the members may take to apply new controls.
const APPLY_LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn set(
    target: Target,
    controls: GroupControls,
    layout: &StackLayout,
) -> Result<()> {
    if !controls.faults().is_empty() {
        let is_once = controls.crash_at_repeat != Some(true);
        check_members(target, layout, kills(&controls) && is_once).await?;
    }
    match target.slot {
        Some(_) => set_one(target, &controls, layout).await,
        None => set_group(target.of, controls, layout).await,
    }
}

fn kills(controls: &GroupControls) -> bool {
    controls.crash_at.is_some_and(|at| at.0.is_some())
}

/// Refuses a fault that a running member would ignore, and one that is for running members if none runs.
async fn check_members(target: Target, layout: &StackLayout, needs_member: bool) -> Result<()> {
    let running = instances(layout, target).await?;
    if running.is_empty() && needs_member {
        bail!(
            "{target} does not run: a crash point is for members that run, unless --crash-at-repeat is given"
        );
    }
    let configs = configs(&ShopClient::new(layout)?, &running).await?;
    match configs.iter().find(|(_, config)| !config.unsafe_allowed) {
        Some((instance, _)) => Err(Usage::error(format_args!(
            "{} runs without SANDBOX_UNSAFE=1 and would ignore the fault: ./sandbox restart {} --set SANDBOX_UNSAFE=1",
            name(instance),
            target.of
        ))),
        None => Ok(()),
    }
}

async fn set_one(target: Target, controls: &GroupControls, layout: &StackLayout) -> Result<()> {
    let running = instances(layout, target).await?;
    let Some(instance) = running.first() else {
        bail!("{target} does not run: ./sandbox up starts it");
    };
    let config = ShopClient::new(layout)?
        .set_controls(instance, controls)
        .await?;
    say(format_args!("{target}  {}", shown(&config)));
    Ok(())
}

async fn set_group(service: Service, controls: GroupControls, layout: &StackLayout) -> Result<()> {
    let cluster = Cluster::new(&layout.kafka())?;
    let before = cluster.controls(service).await?.unwrap_or_default();
    let merged = before.merged(controls.clone());
    cluster.set_controls(service, &merged).await?;
    let expected = controls.with_implied_batch_max();
    let may_die = kills(&expected);
    wait_until_applied(service, layout, may_die, |config| {
        applies(config, &expected)
    })
    .await
}

/// Whether the group's record is effective in every field that `expected` sets. A crash point is known by its time: a process
/// that has started since has read the record, too, but is not meant.
fn applies(config: &EffectiveConfig, expected: &GroupControls) -> bool {
    fn is<T: PartialEq>(expected: Option<T>, value: T, source: Source) -> bool {
        expected.is_none_or(|expected| expected == value && source == Source::Group)
    }
    let from = &config.sources;
    is(
        expected.processing_time_ms,
        config.processing_time_ms,
        from.processing_time_ms,
    ) && is(expected.batch_max, config.batch_max, from.batch_max)
        && is(expected.paused, config.paused, from.paused)
        && is(
            expected.protection_off,
            config.protection_off,
            from.protection_off,
        )
        && is(
            expected.crash_at_since.map(Some),
            config.since.crash_at,
            from.crash_at,
        )
}

pub(super) async fn clear(service: Service, layout: &StackLayout) -> Result<()> {
    let cluster = Cluster::new(&layout.kafka())?;
    cluster.clear_controls(service).await?;
    wait_until_applied(service, layout, false, |config| {
        let from = &config.sources;
        [
            from.processing_time_ms,
            from.batch_max,
            from.paused,
            from.crash_at,
            from.protection_off,
        ]
        .iter()
        .all(|source| matches!(source, Source::Default | Source::Environment))
    })
    .await
}

/// Waits until the effective configuration of every running instance is as expected, and prints a line for each. If the
/// instances may die of the new controls, one that does not answer counts as one that applies them.
async fn wait_until_applied(
    service: Service,
    layout: &StackLayout,
    may_die: bool,
    is_expected: impl Fn(&EffectiveConfig) -> bool,
) -> Result<()> {
    let shop = ShopClient::new(layout)?;
    let running = layout.instances(service).await?;
    if running.is_empty() {
        note(format_args!(
            "no instance of {service} runs; instances that start later get these controls"
        ));
        return Ok(());
    }
    let look = async || {
        let asked = running.iter().map(|instance| shop.controls(instance));
        let mut lines = Vec::with_capacity(running.len());
        let mut all = true;
        for (instance, answer) in running.iter().zip(join_all(asked).await) {
            let shown = match answer {
                Ok(config) => {
                    all &= is_expected(&config);
                    shown(&config)
                }
                Err(_) if may_die => {
                    "does not answer: it may have reached the crash point".to_owned()
                }
                Err(error) => return Err(error),
            };
            lines.push(format!("{}  {shown}", name(instance)));
        }
        Ok(Observation::judge(all, lines.join("\n")))
    };
    let lines = until(APPLY_LIMIT, look)
        .await
        .context("the controls are set, but not every instance applies them")?;
    say(lines);
    Ok(())
}
