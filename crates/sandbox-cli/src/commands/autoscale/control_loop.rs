//! Reads, decides and scales, again and again.

use std::time::Duration;

use anyhow::Result;
use autoscaler::{Decision, History, Reading, decide};
use chrono::Utc;
use cluster_reader::{ClusterReader, group_health};
use shared_events::autoscaler_api::{AutoscalerReason, AutoscalerReport};
use stack::interrupt::Interrupted;
use stack::lag_view;
use stack::layout::StackLayout;
use stack::shop_client::ShopClient;
use stack::terminal::{Usage, note, say};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::group_reading::group_reading;
use super::scaling::Scaling;
use super::{Plan, static_and_zero};

/// A report is current for so many polling intervals, and the time that a step may take.
const VALID_INTERVALS: u32 = 3;
const STEP_TIME: Duration = Duration::from_secs(15);

/// Everything that lives as long as the command.
pub(super) struct ControlLoop<'a> {
    plan: Plan,
    scaling: Scaling<'a>,
    layout: &'a StackLayout,
    reader: ClusterReader,
    health: group_health::History,
    history: History,
    printed: Printed,
    shop: ShopClient<'a>,
    is_heard: bool,
}

/// What was printed last. A line that says the same again is left out.
#[derive(Default, PartialEq)]
enum Printed {
    #[default]
    Nothing,
    Decision(u32, u32, i64, AutoscalerReason),
    Failure(String),
}

impl<'a> ControlLoop<'a> {
    pub(super) fn new(plan: Plan, scaling: Scaling<'a>, layout: &'a StackLayout) -> Result<Self> {
        let mut reader = lag_view::reader(&layout.kafka());
        reader.remember(&plan.group.group);
        Ok(Self {
            plan,
            scaling,
            layout,
            reader,
            health: group_health::History::default(),
            history: History::default(),
            printed: Printed::default(),
            shop: ShopClient::new(layout)?,
            is_heard: true,
        })
    }

    /// Until Ctrl-C ([`Interrupted`]), or until the settings prove wrong.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut turns = interval(self.plan.settings.polling_interval);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Only while it waits and reads: without a guard, a closed pipe ends the command when it prints.
            let guard = self.layout.interrupt().guard()?;
            let turn = async {
                turns.tick().await;
                Ok(self.read().await)
            };
            let read = guard.unless_interrupted(turn).await?;
            drop(guard);
            match read {
                Ok(reading) => self.act(&reading).await?,
                Err(error) if error.is::<Usage>() => return Err(error),
                Err(error) => self.print_failure(&error),
            }
        }
    }

    /// A reading that fails decides nothing: the number of instances is held.
    async fn read(&mut self) -> Result<Reading> {
        let replicas = self.scaling.replicas().await?;
        let group = &self.plan.group;
        let snapshot = lag_view::read_counted(&mut self.reader, Some(&group.group)).await?;
        let is_static = group.has_static_members(&snapshot);
        if is_static && self.plan.settings.min_replicas == 0 {
            return Err(static_and_zero(self.plan.service));
        }
        self.health.add(snapshot);
        Ok(group_reading(&self.health, group, replicas))
    }

    async fn act(&mut self, reading: &Reading) -> Result<()> {
        let settings = &self.plan.settings;
        let effect = self.history.observe(settings, reading);
        let decision = decide(settings, reading, &self.history);
        self.history.record(settings, &decision);
        if let Some(effect) = effect {
            say_at(effect);
        }
        self.print(&decision);
        if self.plan.dry_run {
            return Ok(());
        }
        // Before the step: a group that is being scaled to 0 has no members on purpose.
        self.report(&decision).await?;
        if decision.to == decision.from {
            return Ok(());
        }
        let began = Instant::now();
        match self.scaling.scale_to(decision.to).await {
            Ok(()) => {
                self.history.stepped(reading, &decision);
                if self.scaling.is_local() {
                    say_at(format_args!(
                        "{} → {} instances in {:.1} s",
                        decision.from,
                        decision.to,
                        began.elapsed().as_secs_f64()
                    ));
                }
                Ok(())
            }
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => {
                self.print_failure(&error.context("scaling failed"));
                Ok(())
            }
        }
    }

    /// Sends the decision to lag-monitor, for its page and Prometheus. Scaling does not need lag-monitor.
    async fn report(&mut self, decision: &Decision) -> Result<()> {
        let valid = self.plan.settings.polling_interval * VALID_INTERVALS + STEP_TIME;
        let report = AutoscalerReport {
            desired: decision.to,
            actual: decision.from,
            reason: decision.reason(),
            explanation: decision.to_string(),
            valid_seconds: u32::try_from(valid.as_secs())?,
        };
        let guard = self.layout.interrupt().guard()?;
        let sending = async {
            Ok(self
                .shop
                .report_autoscaler(self.plan.service, &report)
                .await)
        };
        let sent = guard.unless_interrupted(sending).await?;
        if let Err(error) = &sent
            && self.is_heard
        {
            note(format_args!(
                "the page and the metrics do not show the decisions: {error:#}"
            ));
        }
        self.is_heard = sent.is_ok();
        Ok(())
    }

    fn print(&mut self, decision: &Decision) {
        let lag = decision.demand.lag;
        let printed = Printed::Decision(decision.from, decision.to, lag, decision.reason());
        if self.printed != printed {
            let tried = if self.plan.dry_run { "dry run: " } else { "" };
            say_at(format_args!("{tried}{decision}"));
            self.printed = printed;
        }
    }

    fn print_failure(&mut self, error: &anyhow::Error) {
        let printed = Printed::Failure(format!("{error:#}"));
        if self.printed != printed {
            say_at(format_args!("hold: {error:#}"));
            self.printed = printed;
        }
    }
}

fn say_at(line: impl std::fmt::Display) {
    say(format_args!("{} {line}", Utc::now().format("%H:%M:%S")));
}
