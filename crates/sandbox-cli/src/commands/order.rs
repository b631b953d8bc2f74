//! `sandbox order`: places an order and prints its id, or shows an order.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use scenario_runner::conditions::order::OrderCondition;
use scenario_runner::conditions::until;
use serde_json::value::RawValue;
use service_kit::settings::duration_between;
use shared_events::http_api::NewOrder;
use shared_events::{Amount, CustomerId, OrderId, ProductId, Quantity};
use stack::layout::StackLayout;
use stack::shop_client::{ShopClient, describe_order};
use stack::terminal::say;

/// An order to place, or one to show.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ID=$(./sandbox order --product prod_123 --quantity 2 --amount 250.50)\n  ./sandbox order --customer cust_big_spender --amount 1500.00 --wait\n  ./sandbox order $ID"
)]
pub struct Order {
    /// Show this order instead of placing one
    #[arg(conflicts_with_all = ["customer", "product", "quantity", "amount", "key", "wait"])]
    pub id: Option<OrderId>,

    /// The customer
    #[arg(long, default_value = "cust_happy_path")]
    pub customer: CustomerId,

    /// The product
    #[arg(long, default_value = "prod_123")]
    pub product: ProductId,

    /// The number of pieces
    #[arg(long, default_value = "2", value_parser = quantity)]
    pub quantity: Quantity,

    /// The price of the whole order; above 1000.00 the card is declined
    #[arg(long, default_value = "250.50")]
    pub amount: Amount,

    /// The Idempotency-Key: two requests with the same key make one order
    #[arg(long)]
    pub key: Option<String>,

    /// Wait until the saga has ended, and print its outcome
    #[arg(long)]
    pub wait: bool,

    /// The time limit of --wait
    #[arg(long, default_value = "60s", value_parser = duration_between(0, 3_600), requires = "wait")]
    pub within: Duration,

    /// Print the JSON of order-service
    #[arg(long)]
    pub json: bool,
}

fn quantity(text: &str) -> Result<Quantity, String> {
    let pieces = text.parse().map_err(|_| Quantity::LIMIT.to_string())?;
    Quantity::new(pieces).map_err(|limit| limit.to_string())
}

/// Places or shows the order.
pub async fn run(args: Order, layout: &StackLayout) -> Result<()> {
    let shop = ShopClient::new(layout)?;
    if let Some(id) = args.id {
        return show(&shop, id, args.json).await;
    }
    let order = NewOrder {
        customer_id: args.customer,
        product_id: args.product,
        quantity: args.quantity,
        amount: args.amount,
    };
    let accepted = shop.place_order(&order, args.key.as_deref()).await?;
    match (args.wait, args.json) {
        (false, false) => say(accepted.order_id),
        (false, true) => say(serde_json::to_string(&accepted)?),
        (true, json) => {
            let outcome = wait_for_end(&shop, accepted.order_id, args.within).await;
            let outcome =
                outcome.with_context(|| format!("order {} did not end", accepted.order_id))?;
            if json {
                say(order_json(&shop, accepted.order_id).await?);
            } else {
                say(outcome);
            }
        }
    }
    Ok(())
}

async fn wait_for_end(shop: &ShopClient<'_>, id: OrderId, within: Duration) -> Result<String> {
    let end = OrderCondition {
        id,
        status: Vec::new(),
        reason: None,
        facts: Vec::new(),
        waiting_for: None,
    };
    until(within, async || {
        Ok(end.check(shop.order(id).await?.as_ref()))
    })
    .await
}

async fn show(shop: &ShopClient<'_>, id: OrderId, json: bool) -> Result<()> {
    if json {
        say(order_json(shop, id).await?);
        return Ok(());
    }
    let Some(order) = shop.order(id).await? else {
        bail!("order-service has no order {id}");
    };
    say(describe_order(&order));
    for fact in &order.facts {
        let at = fact.at.format("%Y-%m-%d %H:%M:%S%.3f");
        say(format_args!("  {at}  {}  {}", fact.event, fact.event_id));
    }
    Ok(())
}

async fn order_json(shop: &ShopClient<'_>, id: OrderId) -> Result<Box<RawValue>> {
    let order = shop.order_json(id).await?;
    order.with_context(|| format!("order-service has no order {id}"))
}
