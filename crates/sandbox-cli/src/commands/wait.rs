//! `sandbox wait`: nothing goes on until a condition holds.

use std::time::Duration;

use anyhow::Result;
use service_kit::settings::span;

use crate::conditions::controls::ControlsAre;
use crate::conditions::lag::LagIs;
use crate::conditions::letters::Letters;
use crate::conditions::members::MembersAre;
use crate::conditions::order::OrderIs;
use crate::conditions::ready::AreReady;
use crate::conditions::status::StatusIs;
use crate::conditions::until;
use crate::observer::Observer;
use crate::sandbox::Sandbox;
use crate::terminal::say;

/// What to wait for, and how long.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait order $ID --status CONFIRMED\n  ./sandbox wait lag --group inventory-service-group --above 1000 --within 60s\n\nPrints what was seen; when the time is over, what was seen last, and exits with 1."
)]
pub struct Wait {
    /// How long, at most
    #[arg(long, global = true, default_value = "60s", value_parser = span(0, 3_600))]
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
