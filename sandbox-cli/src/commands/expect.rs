//! `sandbox expect`: a fact that has to be so, at once or within a while, since the shop is never in one place at one time.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::conditions::controls::ControlsAre;
use crate::conditions::lag::LagIs;
use crate::conditions::letters::Letters;
use crate::conditions::order::OrderIs;
use crate::conditions::settings::SettingsAre;
use crate::conditions::stock::StockIs;
use crate::conditions::told::Told;
use crate::conditions::until;
use crate::observer::Observer;
use crate::sandbox::Sandbox;
use crate::terminal::say;

/// What has to be so, and how soon.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox expect stock prod_123 --quantity 7\n  ./sandbox expect told $ID OrderCreated=1 PaymentSucceeded=1 InventoryReserved=1\n\nPrints what was seen; if it is not so in time, what was seen last, and exits with 1."
)]
pub struct Expect {
    /// How soon, at the latest
    #[arg(long, global = true, default_value = "30s", value_parser = humantime::parse_duration)]
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
    /// A service runs with these settings
    Settings(SettingsAre),
    /// All members of a service are told the same
    Controls(ControlsAre),
}

/// Checks.
pub async fn run(args: Expect, sandbox: &Sandbox) -> Result<()> {
    let observer = Observer::new(sandbox)?;
    let look = async || match &args.fact {
        Fact::Order(wanted) => observer.order(wanted).await,
        Fact::Stock(wanted) => observer.stock(wanted).await,
        Fact::Told(wanted) => observer.told(wanted).await,
        Fact::Dlq(wanted) => observer.letters(wanted).await,
        Fact::Lag(wanted) => observer.lag(wanted).await,
        Fact::Settings(wanted) => observer.settings(wanted).await,
        Fact::Controls(wanted) => observer.controls(wanted).await,
    };
    say(until(args.within, look).await.context("it is not so")?);
    Ok(())
}
