//! Whether the shop works, as its customers and the person on call see it. It names what they see, and no
//! cause.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use faults::mystery_state::unended_orders;
use futures::future::try_join_all;
use reqwest::Method;
use scenario_runner::conditions::consuming::ConsumingCondition;
use scenario_runner::conditions::lag::LagCondition;
use scenario_runner::conditions::ready::ReadyCondition;
use scenario_runner::conditions::{Observation, until};
use scenario_runner::probes::Probes;
use shared_events::http_api::NewOrder;
use shared_events::{OrderId, Quantity, Service};
use stack::layout::StackLayout;
use stack::shop_client::ShopClient;
use stack::target::Target;

/// How many orders are placed at once: enough that each partition gets one, and that a member that
/// takes a second for each is too slow.
const ORDERS: usize = 20;

/// How long these orders may take until they have ended. Measured without a fault: 1 s.
const END_WITHIN: Duration = Duration::from_secs(20);

/// How long a service may take to be ready and to consume. A member that was killed is in its group
/// for 6 s.
const CONSUMES_WITHIN: Duration = Duration::from_secs(15);

/// How long the groups may take to catch up.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(30);

/// Places orders and waits for their end, then looks at services, groups and orders. Returns how many
/// orders have not ended; more than `most` are an error.
pub async fn check(layout: &StackLayout, most: Option<i64>) -> Result<i64> {
    let shop = ShopClient::new(layout)?;
    let probes = Probes::new(layout)?;
    let placed = place_orders(&shop).await;
    let placed = placed.context("an order cannot be placed")?;
    let look = async || unended(&shop, &placed).await;
    until(END_WITHIN, look)
        .await
        .context("an order that is placed now does not end")?;
    for service in Service::ALL {
        let target = Target {
            of: service.into(),
            slot: None,
        };
        let ready = ReadyCondition {
            targets: vec![target],
            not: false,
        };
        until(CONSUMES_WITHIN, async || probes.ready(&ready).await)
            .await
            .context("not every service is ready")?;
        let consuming = ConsumingCondition { service };
        until(CONSUMES_WITHIN, async || probes.consuming(&consuming).await)
            .await
            .context("not every service consumes")?;
    }
    let caught_up = LagCondition {
        group: None,
        above: None,
        below: None,
        caught_up: true,
    };
    until(CAUGHT_UP_WITHIN, async || probes.lag(&caught_up).await)
        .await
        .context("a group is not caught up")?;
    let look = async || few_unended(layout, most).await;
    until(END_WITHIN, look)
        .await
        .context("customers are still waiting")?;
    unended_orders(layout).await
}

/// The stock of the product is set first, if inventory-service answers: without stock an order ends, too.
async fn place_orders(shop: &ShopClient<'_>) -> Result<BTreeSet<OrderId>> {
    let stock = r#"{"quantity": 1000000}"#;
    let path = "/products/prod_umbrella";
    let _may_fail = shop
        .exchange(Service::Inventory, Method::PUT, path, stock)
        .await;
    let order = NewOrder {
        customer_id: "cust_happy_path".parse()?,
        product_id: "prod_umbrella".parse()?,
        quantity: Quantity::new(1)?,
        amount: "10.00".parse()?,
    };
    let requests = (0..ORDERS).map(|_| shop.place_order(&order, None));
    let accepted = try_join_all(requests).await?;
    Ok(accepted.into_iter().map(|one| one.order_id).collect())
}

async fn unended(shop: &ShopClient<'_>, placed: &BTreeSet<OrderId>) -> Result<Observation> {
    let orders = try_join_all(placed.iter().map(|id| shop.order(*id))).await?;
    let ended = orders.iter().flatten();
    let ended = ended.filter(|order| order.status.is_final()).count();
    let all = placed.len();
    let seen = format!("{ended} of {all} have ended");
    Ok(Observation::judge(ended == all, seen))
}

async fn few_unended(layout: &StackLayout, most: Option<i64>) -> Result<Observation> {
    let count = unended_orders(layout).await?;
    let most = most.unwrap_or(count);
    let seen = format!(
        "{count} orders have not ended, {most} of them from before (./sandbox orders --status PAID)"
    );
    Ok(Observation::judge(count <= most, seen))
}
