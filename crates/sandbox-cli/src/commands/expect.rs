//! `sandbox expect`: a fact that has to be so, at once or within a while, since the shop is never in one place at one time.

use std::time::Duration;

use anyhow::{Context, Result};
use service_kit::settings::duration_between;

use scenario_runner::conditions::controls::ControlsAre;
use scenario_runner::conditions::lag::LagIs;
use scenario_runner::conditions::dlq::Letters;
use scenario_runner::conditions::members::MembersAre;
use scenario_runner::conditions::order::OrderIs;
use scenario_runner::conditions::ratio::Ratio;
use scenario_runner::conditions::settings::SettingsAre;
use scenario_runner::conditions::status::StatusIs;
use scenario_runner::conditions::stock::StockIs;
use scenario_runner::conditions::event_counts::Told;
use scenario_runner::conditions::until;
use scenario_runner::probes::Observer;
use stack::sandbox::Sandbox;
use stack::terminal::say;

/// What has to be so, and how soon.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox expect stock prod_123 --quantity 7\n  ./sandbox expect told $ID OrderCreated=1 PaymentSucceeded=1 InventoryReserved=1\n\nPrints what was seen; if it is not so in time, what was seen last, and exits with 1."
)]
pub struct Expect {
    /// How soon, at the latest
    #[arg(long, global = true, default_value = "60s", value_parser = duration_between(0, 3_600))]
    pub within: Duration,

    /// What.
    #[command(subcommand)]
    pub fact: Fact,
}

/// What can be asserted.
#[derive(Debug, clap::Subcommand)]
pub enum Fact {
    /// An order has come so far
    Order(OrderIs),
    /// A product has so many pieces in stock
    Stock(StockIs),
    /// Each event of an order was told so often
    Told(Told),
    /// So many dead letters are there
    Dlq(Letters),
    /// Groups are so far behind
    Lag(LagIs),
    /// lag-monitor says this of a group
    Status(StatusIs),
    /// A service's group has so many members
    Members(MembersAre),
    /// One figure is as many times another
    Ratio(Ratio),
    /// A service runs with these settings
    Settings(SettingsAre),
    /// All members of a service are told the same
    Controls(ControlsAre),
}

/// Checks.
pub async fn run(args: Expect, sandbox: &Sandbox) -> Result<()> {
    // It would be no other a while later.
    let within = match args.fact {
        Fact::Ratio(_) => Duration::ZERO,
        _ => args.within,
    };
    let observer = Observer::new(sandbox)?;
    let look = async || match &args.fact {
        Fact::Order(wanted) => observer.order(wanted).await,
        Fact::Stock(wanted) => observer.stock(wanted).await,
        Fact::Told(wanted) => observer.told(wanted).await,
        Fact::Dlq(wanted) => observer.letters(wanted).await,
        Fact::Lag(wanted) => observer.lag(wanted).await,
        Fact::Status(wanted) => observer.status(wanted).await,
        Fact::Members(wanted) => observer.members(wanted).await,
        Fact::Ratio(wanted) => wanted.check(),
        Fact::Settings(wanted) => observer.settings(wanted).await,
        Fact::Controls(wanted) => observer.controls(wanted).await,
    };
    say(until(within, look).await.context("it is not so")?);
    Ok(())
}
