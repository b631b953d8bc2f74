//! `sandbox orders`: lists orders.

use anyhow::Result;
use serde_json::json;
use service_kit::settings::whole_number;
use shared_events::CustomerId;
use shared_events::http_api::{OrderStatus, OrderView};
use stack::layout::StackLayout;
use stack::shop_client::ShopClient;
use stack::shop_client::orders::{OrderList, OrderQuery};
use stack::status_rows::stuck_orders::awaited_events;
use stack::terminal::{Table, note, say};

/// The most orders of one list.
const MOST: u32 = 10_000;

/// Which orders.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox orders\n  ./sandbox orders --stuck                  what waits for an event that does not come, the oldest order first\n  ./sandbox orders --stuck --status PAID\n  ./sandbox orders --stuck --json | jq -r '.orders[].orderId'\n\nAn order is stuck if its saga has not ended and had no event for 60 s. ./sandbox logs --order ID shows where it stopped."
)]
pub struct Orders {
    /// Only stuck orders, the oldest first
    #[arg(long)]
    stuck: bool,

    /// Only orders with this status
    #[arg(long)]
    status: Option<OrderStatus>,

    /// Only orders of this customer
    #[arg(long, value_name = "ID")]
    customer: Option<CustomerId>,

    /// The most orders to list
    #[arg(short = 'n', long, value_name = "ORDERS", default_value_t = 50, value_parser = whole_number::<u32>(1..=MOST))]
    limit: u32,

    /// Print JSON, for scripts: the orders, and whether there are more
    #[arg(long)]
    json: bool,
}

/// Prints the list, the newest order first unless `--stuck` is given.
pub async fn run(args: Orders, layout: &StackLayout) -> Result<()> {
    let query = OrderQuery {
        stuck: args.stuck,
        status: args.status,
        customer: args.customer,
    };
    let shop = ShopClient::new(layout)?;
    let list = shop.orders(&query, args.limit as usize).await?;
    if args.json {
        say(as_json(&list)?);
        return Ok(());
    }
    if list.orders.is_empty() {
        say(if args.stuck {
            "no order is stuck"
        } else {
            "there are no such orders"
        });
        return Ok(());
    }
    say(table(&list.orders));
    if list.has_more {
        note(format_args!("there are more: -n shows up to {MOST} orders"));
    }
    Ok(())
}

fn as_json(list: &OrderList) -> Result<String> {
    let OrderList { orders, has_more } = list;
    Ok(serde_json::to_string_pretty(&json!({
        "orders": orders,
        "hasMore": has_more,
    }))?)
}

fn table(orders: &[OrderView]) -> Table {
    let mut table = Table::new(&[
        "order",
        "status",
        "waits for",
        "since",
        "product",
        "quantity",
    ]);
    for order in orders {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let since = order.waiting_since;
        table.row([
            order.order_id.to_string(),
            order.status.to_string(),
            awaited_events(order),
            or_dash(since.map(|since| since.format("%Y-%m-%d %H:%M:%S UTC").to_string())),
            or_dash(order.product_id.as_ref().map(ToString::to_string)),
            or_dash(order.quantity.map(|quantity| quantity.to_string())),
        ]);
    }
    table
}
