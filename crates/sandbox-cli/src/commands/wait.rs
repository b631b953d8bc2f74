//! `sandbox wait`: nothing goes on until a condition holds.

use std::time::Duration;

use anyhow::Result;
use service_kit::settings::duration_between;

use scenario_runner::conditions::controls::ControlsAre;
use scenario_runner::conditions::lag::LagIs;
use scenario_runner::conditions::dlq::Letters;
use scenario_runner::conditions::members::MembersAre;
use scenario_runner::conditions::order::OrderIs;
use scenario_runner::conditions::ready::AreReady;
use scenario_runner::conditions::status::StatusIs;
use scenario_runner::conditions::until;
use scenario_runner::probes::Observer;
use stack::sandbox::Sandbox;
use stack::terminal::say;

/// What to wait for, and how long.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait order $ID --status CONFIRMED\n  ./sandbox wait lag --group inventory-service-group --above 1000 --within 60s\n\nPrints what was seen; when the time is over, what was seen last, and exits with 1."
)]
pub struct Wait {
    /// How long, at most
    #[arg(long, global = true, default_value = "60s", value_parser = duration_between(0, 3_600))]
    pub within: Duration,

    /// What for.
    #[command(subcommand)]
    pub condition: Condition,
}

/// What can be waited for.
#[derive(Debug, clap::Subcommand)]
pub enum Condition {
    /// An order has come so far
    Order(OrderIs),
    /// Groups are so far behind
    Lag(LagIs),
    /// lag-monitor says this of a group
    Status(StatusIs),
    /// Services can do their work
    Ready(AreReady),
    /// A service's group has so many members
    Members(MembersAre),
    /// Dead letters are there
    Dlq(Letters),
    /// All members of a service are told the same
    Controls(ControlsAre),
}

/// Waits.
pub async fn run(args: Wait, sandbox: &Sandbox) -> Result<()> {
    let observer = Observer::new(sandbox)?;
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
