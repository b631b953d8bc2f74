//! `sandbox wait`: waits until a condition holds.

use std::time::Duration;

use anyhow::Result;
use scenario_runner::conditions::consuming::ConsumingCondition;
use scenario_runner::conditions::controls::ControlsCondition;
use scenario_runner::conditions::dlq::DeadLetterCount;
use scenario_runner::conditions::lag::LagCondition;
use scenario_runner::conditions::members::MembersCondition;
use scenario_runner::conditions::order::OrderCondition;
use scenario_runner::conditions::ready::ReadyCondition;
use scenario_runner::conditions::status::StatusCondition;
use scenario_runner::conditions::until;
use scenario_runner::probes::Probes;
use service_kit::settings::duration_between;
use stack::layout::StackLayout;
use stack::terminal::say;

/// The condition, and the time limit.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait order $ID --status CONFIRMED\n  ./sandbox wait lag --group inventory-service-group --above 1000 --within 60s\n\nPrints the observed state when the condition holds; after the time limit, the last observed state, with exit code 1."
)]
pub struct Wait {
    /// The time limit
    #[arg(long, global = true, default_value = "60s", value_parser = duration_between(0, 3_600))]
    pub within: Duration,

    #[command(subcommand)]
    pub condition: Condition,
}

#[derive(Debug, clap::Subcommand)]
pub enum Condition {
    /// An order has a status
    Order(OrderCondition),
    /// The lag of groups is above or below a limit, or they are caught up
    Lag(LagCondition),
    /// lag-monitor reports a group under this rule
    Status(StatusCondition),
    /// Services are ready
    Ready(ReadyCondition),
    /// A service's group has a number of members
    Members(MembersCondition),
    /// Every running instance of a service is in its group, and owns partitions or is idle
    Consuming(ConsumingCondition),
    /// There are dead letters
    Dlq(DeadLetterCount),
    /// All members of a service have the same controls
    Controls(ControlsCondition),
}

/// Waits.
pub async fn run(args: Wait, layout: &StackLayout) -> Result<()> {
    let observer = Probes::new(layout)?;
    let look = async || match &args.condition {
        Condition::Order(wanted) => observer.order(wanted).await,
        Condition::Lag(wanted) => observer.lag(wanted).await,
        Condition::Status(wanted) => observer.status(wanted).await,
        Condition::Ready(wanted) => observer.ready(wanted).await,
        Condition::Members(wanted) => observer.members(wanted).await,
        Condition::Consuming(wanted) => observer.consuming(wanted).await,
        Condition::Dlq(wanted) => observer.dead_letters(wanted).await,
        Condition::Controls(wanted) => observer.controls(wanted).await,
    };
    say(until(args.within, look).await?);
    Ok(())
}
