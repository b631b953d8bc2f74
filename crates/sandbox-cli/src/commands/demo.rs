//! `sandbox demo`: starts everything and tells the four stories of the shop, with the very commands of the README.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster_reader::TopicPartition;
use kafka_admin::Cluster;
use kafka_runtime::dead_letter::DeadLetterHeaders;
use kafka_admin::replay;
use reqwest::Method;
use shared_events::{OrderId, Service};
use tokio::time::Instant;

use super::up::Up;
use scenario_runner::conditions::dlq::is_about;
use scenario_runner::conditions::order::OrderIs;
use scenario_runner::conditions::{Seen, until};
use stack::lag_view;
use stack::sandbox::Sandbox;
use stack::shop_client::{Placed, Shop, Status};
use stack::terminal::{Table, say};

/// How long a saga may take. On a machine that has just started everything, the first one is slow.
const WITHIN: Duration = Duration::from_secs(60);

/// What to start with.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:  ./sandbox demo\n\nStarts what does not run, restocks, orders with curl, and shows how each order ends."
)]
pub struct Demo {
    /// Use no network: everything must have been fetched before
    #[arg(long)]
    pub offline: bool,
}

/// An order, and how its saga ends.
struct Story {
    title: &'static str,
    order: &'static str,
    ends: Status,
    told: &'static str,
}

const STORIES: [Story; 4] = [
    Story {
        title: "paid and reserved",
        order: r#"{"customerId": "cust_happy_path", "productId": "prod_123", "quantity": 2, "amount": 250.50}"#,
        ends: Status::Confirmed,
        told: "paid, reserved",
    },
    Story {
        title: "out of stock: the money goes back",
        order: r#"{"customerId": "cust_large_quantity", "productId": "prod_123", "quantity": 10, "amount": 250.00}"#,
        ends: Status::Cancelled,
        told: "paid, out of stock, refunded",
    },
    Story {
        title: "the card is declined",
        order: r#"{"customerId": "cust_big_spender", "productId": "prod_123", "quantity": 1, "amount": 1500.00}"#,
        ends: Status::Failed,
        told: "declined, nothing charged",
    },
    Story {
        title: "a poison message is set aside",
        order: r#"{"customerId": "cust_dlq_test", "productId": "prod_ignore", "quantity": 1, "amount": 99.00}"#,
        ends: Status::Paid,
        told: "paid, then set aside in inventory.dlq; its partition moves on",
    },
];

/// Tells them.
pub async fn run(args: Demo, sandbox: &Sandbox) -> Result<()> {
    let up = Up {
        offline: args.offline,
        ..Up::default()
    };
    sandbox.vantage().up(up, sandbox).await?;
    let shop = Shop::new(sandbox)?;
    say("\nBefore the stories: 9 pieces of prod_123 in stock");
    let restock = Curl {
        method: Method::PUT,
        service: Service::Inventory,
        path: "/products/prod_123",
        body: r#"{"quantity": 9}"#,
    };
    restock.run(&shop, sandbox).await?;
    let mut table = Table::new(&["story", "should end", "ended", "verdict", "ms"]);
    let mut failed = 0;
    for (number, story) in STORIES.iter().enumerate() {
        say(format_args!("\nStory {}: {}", number + 1, story.title));
        let begun = Instant::now();
        let outcome = tell(story, &shop, sandbox).await;
        let took = begun.elapsed().as_millis();
        let (seen, verdict) = match &outcome {
            Ok(seen) => (format!("{seen}: {}", story.told), "PASS"),
            Err(error) => (format!("{error:#}"), "FAIL"),
        };
        say(format_args!("{seen}"));
        failed += usize::from(outcome.is_err());
        let ended = outcome.map_or_else(|_| "-".to_owned(), |seen| seen.to_string());
        table.row([
            format!("{} {}", number + 1, story.title),
            story.ends.to_string(),
            ended,
            verdict.to_owned(),
            took.to_string(),
        ]);
    }
    say(format_args!("\n{table}"));
    if failed > 0 {
        bail!(
            "{failed} of {} stories ended otherwise: see above",
            STORIES.len()
        );
    }
    say(
        "\nWhat next:  ./sandbox scenario --list     ./sandbox status     ./sandbox logs --order ID     ./sandbox down",
    );
    Ok(())
}

async fn tell(story: &Story, shop: &Shop<'_>, sandbox: &Sandbox) -> Result<Status> {
    let order = Curl {
        method: Method::POST,
        service: Service::Order,
        path: "/orders",
        body: story.order,
    };
    let answer = order.run(shop, sandbox).await?;
    let placed: Placed = serde_json::from_str(&answer)
        .with_context(|| format!("order-service did not take the order: {answer}"))?;
    reaches(story.ends, placed.order_id, shop).await?;
    if story.ends == Status::Paid {
        until(WITHIN, async || set_aside(placed.order_id, sandbox).await).await?;
        // It had time to go on, and did not.
        reaches(story.ends, placed.order_id, shop).await?;
    }
    Ok(story.ends)
}

async fn reaches(status: Status, id: OrderId, shop: &Shop<'_>) -> Result<String> {
    let wanted = OrderIs {
        id,
        status: vec![status],
        reason: None,
        facts: Vec::new(),
        waiting_for: None,
    };
    until(WITHIN, async || {
        Ok(wanted.check(shop.order(id).await?.as_ref()))
    })
    .await
}

/// Whether the order has a letter, and its group went on behind the record that it is about.
async fn set_aside(id: OrderId, sandbox: &Sandbox) -> Result<Seen> {
    let cluster = Cluster::new(&sandbox.kafka())?;
    let letters = replay::letters(&cluster, Service::Inventory.dead_letter_topic()).await?;
    let about = letters.iter().filter(|letter| is_about(letter, id));
    let Some(origin) = about
        .filter_map(|letter| letter.headers.as_ref().ok())
        .next()
    else {
        return Ok(Seen::Not(format!(
            "no letter of order {id} in inventory.dlq"
        )));
    };
    let at = TopicPartition {
        topic: origin.original_topic.clone(),
        partition: origin.original_partition,
    };
    let snapshot = lag_view::read(&mut lag_view::reader(&sandbox.kafka())).await?;
    let group = snapshot.groups.get(&origin.consumer_group);
    let row = group.and_then(|group| group.partitions.get(&at));
    let position = row.and_then(|row| row.committed);
    let moved_on = position > Some(origin.original_offset);
    Ok(Seen::judge(moved_on, place(origin)))
}

fn place(origin: &DeadLetterHeaders) -> String {
    let DeadLetterHeaders {
        original_topic: topic,
        original_partition: partition,
        original_offset: offset,
        ..
    } = origin;
    format!("set aside, but its group did not go on behind {topic}/{partition}/{offset}")
}

/// A command that a person types.
struct Curl {
    method: Method,
    service: Service,
    path: &'static str,
    body: &'static str,
}

impl Curl {
    /// Shows the command, does what it would do, and returns what it would print.
    async fn run(self, shop: &Shop<'_>, sandbox: &Sandbox) -> Result<String> {
        let Self {
            method,
            service,
            path,
            body,
        } = self;
        let typed = sandbox.vantage().as_typed(sandbox, service.into()).await?;
        say(format_args!(
            "$ curl -X {method} {} -H \"Content-Type: application/json\" -d '{body}'",
            quoted(format!("{typed}{path}"))
        ));
        let answer = shop.exchange(service, method, path, body).await?;
        say(&answer);
        Ok(answer)
    }
}

/// As a shell wants it.
fn quoted(word: String) -> String {
    match word.contains('$') {
        true => format!("\"{word}\""),
        false => word,
    }
}
