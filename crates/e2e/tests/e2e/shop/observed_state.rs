//! What the shop has done, as topics and databases show it.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster_reader::{ClusterReader, Group, ReaderSettings};
use kafka_admin::records::Query;
use shared_events::{Decoded, EventType, OrderId, Service, Topic};
use test_stack::eventually;

use super::{DEADLINE, Shop};
use audit::{Allowed, ObservedState, OrderRow, PublishedEvent, Rule, Violation, audit};

/// Columns of the table of orders, each with the event it stands for.
const FACTS: [(&str, EventType); 6] = [
    ("created_at", EventType::OrderCreated),
    ("paid_at", EventType::PaymentSucceeded),
    ("payment_failed_at", EventType::PaymentFailed),
    ("reserved_at", EventType::InventoryReserved),
    ("out_of_stock_at", EventType::InventoryOutOfStock),
    ("refunded_at", EventType::PaymentRefunded),
];

impl Shop {
    /// The check: waits until nothing moves any more, then names every broken promise.
    pub async fn audit(&self, allowed: &Allowed) -> Vec<Violation> {
        self.caught_up().await;
        audit(&self.observed().await, allowed)
    }

    /// Waits until nothing moves, and expects every promise kept.
    pub async fn is_correct(&self, allowed: &Allowed) {
        let violations = self.audit(allowed).await;
        assert!(
            violations.is_empty(),
            "broken promises:\n{}",
            Violation::list(&violations)
        );
    }

    /// Waits until nothing moves, and expects just these promises broken.
    pub async fn breaks(&self, allowed: &Allowed, rules: &[Rule]) {
        let violations = self.audit(allowed).await;
        let broken: BTreeSet<_> = violations.iter().map(|violation| violation.rule).collect();
        let expected = rules.iter().copied().collect();
        assert_eq!(broken, expected, "{}", Violation::list(&violations));
    }

    /// Waits until nothing moves any more: the outbox is empty and every group has read and committed all there is. Seen twice
    /// with nothing new in between: what is under way is a record that some group has not committed yet, or its answer is
    /// new. An order that has not ended then never will.
    pub async fn caught_up(&self) {
        let what = "the outbox is empty and all groups are at rest, twice alike";
        let mut before = Vec::new();
        eventually(DEADLINE, what, async || {
            let now = self.lags().await?;
            let rows = self
                .sql(&self.orders_db, "SELECT count(*) FROM outbox")
                .await?;
            let rests = rows == "0" && now.iter().all(|(_, group)| group.is_caught_up());
            let alike = std::mem::replace(&mut before, now.clone()) == now;
            if rests && alike {
                return Ok(());
            }
            let lags = now.iter().map(|(name, group)| format!("{name} {group}"));
            let lags: Vec<_> = lags.collect();
            Err(format!("{rows} rows in the outbox; {}", lags.join("; ")))
        })
        .await;
    }

    /// The groups of the shop, by name.
    pub async fn lags(&self) -> Result<Vec<(String, Group)>, String> {
        let prefix = &self.kafka.name_prefix;
        let mut reader = ClusterReader::new(ReaderSettings {
            bootstrap_servers: self.kafka.bootstrap_servers.clone(),
            client_id: "observed".to_owned(),
            timeout: Duration::from_secs(10),
        });
        for service in Service::ALL {
            reader.remember(&prefix.group(service));
        }
        let snapshot = reader.poll().await.map_err(|error| error.to_string())?;
        let of_service = |service: Service| {
            let topics = service.consumes().iter();
            let topics: Vec<_> = topics.map(|topic| prefix.topic(*topic)).collect();
            let name = prefix.group(service);
            let group = snapshot.group_on_topics(&name, &topics);
            (name, group)
        };
        Ok(Service::ALL.map(of_service).into())
    }

    /// Rows as `psql` prints them.
    pub async fn sql(&self, database: &str, script: &str) -> Result<String, String> {
        let rows = self.server.sql(database, script).await;
        rows.map_err(|error| error.to_string())
    }

    /// Everything as it is now.
    pub async fn observed(&self) -> ObservedState {
        let columns = FACTS.map(|(column, _)| format!("{column} IS NOT NULL"));
        let orders = format!(
            "SELECT order_id, customer_id, status, {} FROM orders",
            columns.join(", ")
        );
        let orders = self.sql(&self.orders_db, &orders).await.unwrap();
        let stock = "SELECT product_id, quantity FROM products";
        let stock = self.sql(&self.inventory_db, stock).await.unwrap();
        let (placed, stock_before) = {
            let known = self.known();
            (known.placed.clone(), known.stock.clone())
        };
        let mut observed = ObservedState {
            accepted: placed,
            orders: orders.lines().map(order_row).collect(),
            stock_before,
            stock_now: stock.lines().map(product_row).collect(),
            ..ObservedState::default()
        };
        for topic in Topic::ALL {
            let name = self.kafka.name_prefix.topic(topic);
            let records = self.cluster.read(&name, &Query::default()).await.unwrap();
            for record in records {
                let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
                match record.decode() {
                    _ if Service::ALL
                        .map(Service::dead_letter_topic)
                        .contains(&topic) =>
                    {
                        observed.dead_letters.push((topic, key.into_owned()));
                    }
                    Ok(Decoded::Event(envelope)) => observed.published.push(PublishedEvent {
                        envelope: *envelope,
                        value: record.value.unwrap_or_default(),
                    }),
                    other => panic!("nobody here tells this: {other:?}"),
                }
            }
        }
        observed
    }
}

fn order_row(line: &str) -> (OrderId, OrderRow) {
    let cells: Vec<_> = line.split('|').collect();
    let known = FACTS
        .iter()
        .zip(&cells[3..])
        .filter(|(_, cell)| **cell == "t");
    let row = OrderRow {
        customer: cells[1].to_owned(),
        status: cells[2].to_owned(),
        facts: known.map(|((_, event), _)| *event).collect(),
    };
    (cells[0].parse().unwrap(), row)
}

fn product_row(line: &str) -> (String, i64) {
    let (product, pieces) = line.split_once('|').unwrap();
    (product.to_owned(), pieces.parse().unwrap())
}
