//! `sandbox expect`: checks a condition, at once or within a time limit, since the shop is eventually consistent.

use std::time::Duration;

use anyhow::{Context, Result};
use scenario_runner::conditions::controls::ControlsCondition;
use scenario_runner::conditions::dlq::DeadLetterCount;
use scenario_runner::conditions::event_counts::EventCounts;
use scenario_runner::conditions::lag::LagCondition;
use scenario_runner::conditions::members::MembersCondition;
use scenario_runner::conditions::order::OrderCondition;
use scenario_runner::conditions::ratio::Ratio;
use scenario_runner::conditions::settings::SettingsCondition;
use scenario_runner::conditions::status::StatusCondition;
use scenario_runner::conditions::stock::StockCondition;
use scenario_runner::conditions::until;
use scenario_runner::probes::Probes;
use service_kit::settings::duration_between;
use stack::layout::StackLayout;
use stack::terminal::say;

/// The condition, and the time limit.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox expect stock prod_123 --quantity 7\n  ./sandbox expect events $ID OrderCreated=1 PaymentSucceeded=1 InventoryReserved=1\n\nPrints the observed state when the condition holds; after the time limit, the last observed state, with exit code 1."
)]
pub struct Expect {
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
    /// A product has a number of pieces in stock
    Stock(StockCondition),
    /// Each event of an order was published a number of times
    Events(EventCounts),
    /// There is a number of dead letters
    Dlq(DeadLetterCount),
    /// The lag of groups is above or below a limit, or they are caught up
    Lag(LagCondition),
    /// lag-monitor reports a group under this rule
    Status(StatusCondition),
    /// A service's group has a number of members
    Members(MembersCondition),
    /// The ratio of two figures is within limits
    Ratio(Ratio),
    /// A service runs with these settings
    Settings(SettingsCondition),
    /// All members of a service have the same controls
    Controls(ControlsCondition),
}

/// Checks.
pub async fn run(args: Expect, layout: &StackLayout) -> Result<()> {
    // A ratio of two given figures does not change.
    let within = match args.condition {
        Condition::Ratio(_) => Duration::ZERO,
        _ => args.within,
    };
    let observer = Probes::new(layout)?;
    let look = async || match &args.condition {
        Condition::Order(wanted) => observer.order(wanted).await,
        Condition::Stock(wanted) => observer.stock(wanted).await,
        Condition::Events(wanted) => observer.event_counts(wanted).await,
        Condition::Dlq(wanted) => observer.dead_letters(wanted).await,
        Condition::Lag(wanted) => observer.lag(wanted).await,
        Condition::Status(wanted) => observer.status(wanted).await,
        Condition::Members(wanted) => observer.members(wanted).await,
        Condition::Ratio(wanted) => wanted.check(),
        Condition::Settings(wanted) => observer.settings(wanted).await,
        Condition::Controls(wanted) => observer.controls(wanted).await,
    };
    say(until(within, look)
        .await
        .context("the condition does not hold")?);
    Ok(())
}
