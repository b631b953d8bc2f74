//! `sandbox wait`: waits until a condition holds.

use std::time::Duration;

use anyhow::Result;
use scenario_runner::conditions::controls::ControlsAre;
use scenario_runner::conditions::dlq::Letters;
use scenario_runner::conditions::lag::LagIs;
use scenario_runner::conditions::members::MembersAre;
use scenario_runner::conditions::order::OrderIs;
use scenario_runner::conditions::ready::AreReady;
use scenario_runner::conditions::status::StatusIs;
use scenario_runner::conditions::until;
use scenario_runner::probes::Observer;
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
    Order(OrderIs),
    /// The lag of groups is above or below a limit, or they are caught up
    Lag(LagIs),
    /// lag-monitor reports a group under this rule
    Status(StatusIs),
    /// Services are ready
    Ready(AreReady),
    /// A service's group has a number of members
    Members(MembersAre),
    /// There are dead letters
    Dlq(Letters),
    /// All members of a service have the same controls
    Controls(ControlsAre),
}

/// Waits.
pub async fn run(args: Wait, layout: &StackLayout) -> Result<()> {
    let observer = Observer::new(layout)?;
    let look = async || match &args.condition {
        Condition::Order(wanted) => observer.order(wanted).await,
        Condition::Lag(wanted) => observer.lag(wanted).await,
        Condition::Status(wanted) => observer.status(wanted).await,
        Condition::Ready(wanted) => observer.ready(wanted).await,
        Condition::Members(wanted) => observer.members(wanted).await,
        Condition::Dlq(wanted) => observer.letters(wanted).await,
        Condition::Controls(wanted) => observer.controls(wanted).await,
    };
    say(until(args.within, look).await?);
    Ok(())
}
