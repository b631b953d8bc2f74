//! `sandbox demo`: starts everything and places four orders, one for each outcome of a saga, with the curl commands of the
//! README.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster_reader::TopicPartition;
use kafka_admin::Cluster;
use kafka_admin::dead_letters::dead_letters;
use reqwest::Method;
use scenario_runner::conditions::dlq::is_about;
use scenario_runner::conditions::order::OrderCondition;
use scenario_runner::conditions::{Observation, until};
use shared_events::http_api::{AcceptedOrder, OrderStatus};
use shared_events::{OrderId, Service};
use stack::host_or_container::HostOrContainer;
use stack::lag_view;
use stack::layout::StackLayout;
use stack::shop_client::ShopClient;
use stack::terminal::{Table, say};
use tokio::time::Instant;

use super::up::{self, Up};

/// The time limit of one saga. The first one after a start of everything is slow.
const SAGA_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:  ./sandbox demo\n\nStarts what does not run, restocks, orders with curl, and shows how each order ends."
)]
pub struct Demo {
    /// Use no network: `./sandbox fetch` must have run before
    #[arg(long)]
    pub offline: bool,
}

/// One order of the demonstration.
struct Case {
    title: &'static str,
    order: &'static str,
    status: OrderStatus,
    summary: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        title: "paid and reserved",
        order: r#"{"customerId": "cust_happy_path", "productId": "prod_123", "quantity": 2, "amount": 250.50}"#,
        status: OrderStatus::Confirmed,
        summary: "paid, reserved",
    },
    Case {
        title: "out of stock: the order is refunded",
        order: r#"{"customerId": "cust_large_quantity", "productId": "prod_123", "quantity": 10, "amount": 250.00}"#,
        status: OrderStatus::Cancelled,
        summary: "paid, out of stock, refunded",
    },
    Case {
        title: "the payment is declined",
        order: r#"{"customerId": "cust_big_spender", "productId": "prod_123", "quantity": 1, "amount": 1500.00}"#,
        status: OrderStatus::Failed,
        summary: "declined, nothing charged",
    },
    Case {
        title: "poison goes to the dead letters",
        order: r#"{"customerId": "cust_dlq_test", "productId": "prod_ignore", "quantity": 1, "amount": 99.00}"#,
        status: OrderStatus::Paid,
        summary: "paid, then sent to inventory.dlq; the partition is not blocked",
    },
];

/// Starts the stack, places the orders, and fails if one of them ends otherwise than expected.
pub async fn run(args: Demo, layout: &StackLayout) -> Result<()> {
    // In a container the stack runs already.
    if layout.host_or_container() == HostOrContainer::Host {
        let up = Up {
            offline: args.offline,
            ..Up::default()
        };
        up::run(up, layout).await?;
    }
    let shop = ShopClient::new(layout)?;
    say("\nBefore the orders: 9 pieces of prod_123 in stock");
    let restock = Curl {
        method: Method::PUT,
        service: Service::Inventory,
        path: "/products/prod_123",
        body: r#"{"quantity": 9}"#,
    };
    restock.run(&shop, layout).await?;
    let mut table = Table::new(&["order", "expected", "status", "result", "ms"]);
    let mut failed = 0;
    for (number, case) in (1..).zip(&CASES) {
        let (passed, row) = run_case(number, case, &shop, layout).await;
        failed += usize::from(!passed);
        table.row(row);
    }
    say(format_args!("\n{table}"));
    if failed > 0 {
        bail!(
            "{failed} of {} orders ended otherwise: see above",
            CASES.len()
        );
    }
    say(
        "\nWhat next:  ./sandbox scenario --list     ./sandbox status     ./sandbox logs --order ID     ./sandbox down",
    );
    Ok(())
}

/// Places one order. Returns whether it ended as expected, and its row in the table.
async fn run_case(
    number: usize,
    case: &Case,
    shop: &ShopClient<'_>,
    layout: &StackLayout,
) -> (bool, [String; 5]) {
    say(format_args!("\nOrder {number}: {}", case.title));
    let begun = Instant::now();
    let outcome = place(case, shop, layout).await;
    let ms = begun.elapsed().as_millis();
    let (text, status, result) = match &outcome {
        Ok(status) => (format!("{status}: {}", case.summary), status.name(), "PASS"),
        Err(error) => (format!("{error:#}"), "-", "FAIL"),
    };
    say(text);
    let row = [
        format!("{number} {}", case.title),
        case.status.to_string(),
        status.to_owned(),
        result.to_owned(),
        ms.to_string(),
    ];
    (outcome.is_ok(), row)
}

async fn place(case: &Case, shop: &ShopClient<'_>, layout: &StackLayout) -> Result<OrderStatus> {
    let order = Curl {
        method: Method::POST,
        service: Service::Order,
        path: "/orders",
        body: case.order,
    };
    let answer = order.run(shop, layout).await?;
    let accepted: AcceptedOrder = serde_json::from_str(&answer)
        .with_context(|| format!("order-service did not accept the order: {answer}"))?;
    wait_for_status(case.status, accepted.order_id, shop).await?;
    if case.status == OrderStatus::Paid {
        until(SAGA_LIMIT, async || {
            dead_letter_was_passed(accepted.order_id, layout).await
        })
        .await?;
        // The group is past the record, and the order must not have changed.
        wait_for_status(case.status, accepted.order_id, shop).await?;
    }
    Ok(case.status)
}

async fn wait_for_status(status: OrderStatus, id: OrderId, shop: &ShopClient<'_>) -> Result<()> {
    let expected = OrderCondition {
        id,
        status: vec![status],
        reason: None,
        facts: Vec::new(),
        waiting_for: None,
    };
    let look = async || Ok(expected.check(shop.order(id).await?.as_ref()));
    until(SAGA_LIMIT, look).await.map(drop)
}

/// Whether there is a dead letter of the order, and the group has committed past the original record.
async fn dead_letter_was_passed(id: OrderId, layout: &StackLayout) -> Result<Observation> {
    let cluster = Cluster::new(&layout.kafka())?;
    let all = dead_letters(&cluster, Service::Inventory.dead_letter_topic()).await?;
    let mut of_order = all.iter().filter(|one| is_about(one, id));
    let Some(origin) = of_order.find_map(|one| one.headers.as_ref().ok()) else {
        return Ok(Observation::Not(format!(
            "no dead letter of order {id} in inventory.dlq"
        )));
    };
    let (topic, partition) = (&origin.original_topic, origin.original_partition);
    let offset = origin.original_offset;
    let at = TopicPartition {
        topic: topic.clone(),
        partition,
    };
    let snapshot = lag_view::read(&mut lag_view::reader(&layout.kafka())).await?;
    let group = snapshot.groups.get(&origin.consumer_group);
    let row = group.and_then(|group| group.partitions.get(&at));
    let passed = row.and_then(|row| row.committed) > Some(offset);
    Ok(Observation::judge(
        passed,
        format!(
            "there is a dead letter, but its group has not committed past {topic}/{partition}/{offset}"
        ),
    ))
}

/// A curl command.
struct Curl {
    method: Method,
    service: Service,
    path: &'static str,
    body: &'static str,
}

impl Curl {
    /// Prints the command, sends the same request, and prints and returns the response.
    async fn run(self, shop: &ShopClient<'_>, layout: &StackLayout) -> Result<String> {
        let Self {
            method,
            service,
            path,
            body,
        } = self;
        let typed = layout
            .host_or_container()
            .url_for_shell(layout, service.into())
            .await?;
        say(format_args!(
            "$ curl -X {method} {} -H \"Content-Type: application/json\" -d '{body}'",
            quoted(format!("{typed}{path}"))
        ));
        let answer = shop.exchange(service, method, path, body).await?;
        say(&answer);
        Ok(answer)
    }
}

/// The word in quotes if the shell expands something in it.
fn quoted(word: String) -> String {
    match word.contains('$') {
        true => format!("\"{word}\""),
        false => word,
    }
}
