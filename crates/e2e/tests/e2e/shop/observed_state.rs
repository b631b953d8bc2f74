//! Reads the input of the audit from topics and databases.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster_reader::{ClusterReader, Group, ReaderSettings};
use kafka_admin::records::Query;
use shared_events::{Decoded, EventType, OrderId, Service, Topic};
use test_stack::eventually;

use super::{DEADLINE, Shop};
use audit::{Allowed, ObservedState, OrderRow, PublishedEvent, Rule, Violation, audit};

/// The fact columns of the table `orders`, each with its event type.
const FACTS: [(&str, EventType); 6] = [
    ("created_at", EventType::OrderCreated),
    ("paid_at", EventType::PaymentSucceeded),
    ("payment_failed_at", EventType::PaymentFailed),
    ("reserved_at", EventType::InventoryReserved),
    ("out_of_stock_at", EventType::InventoryOutOfStock),
    ("refunded_at", EventType::PaymentRefunded),
];

impl Shop {
    /// Waits until all groups are caught up, and returns every violation.
    pub async fn audit(&self, allowed: &Allowed) -> Vec<Violation> {
        self.caught_up().await;
        audit(&self.observed().await, allowed)
    }

    /// Waits until all groups are caught up, and expects no violation.
    pub async fn is_correct(&self, allowed: &Allowed) {
        let violations = self.audit(allowed).await;
        assert!(
            violations.is_empty(),
            "violated rules:\n{}",
            Violation::list(&violations)
        );
    }

    /// Waits until all groups are caught up, and expects exactly these rules to be violated.
    pub async fn breaks(&self, allowed: &Allowed, rules: &[Rule]) {
        let violations = self.audit(allowed).await;
        let broken: BTreeSet<_> = violations.iter().map(|violation| violation.rule).collect();
        let expected = rules.iter().copied().collect();
        assert_eq!(broken, expected, "{}", Violation::list(&violations));
    }

    /// Waits until the outbox is empty and every group has committed all records, twice in a row with the same offsets. Work in
    /// progress is an uncommitted record, or it has published a new one in between. An order that is not final then never will be.
    pub async fn caught_up(&self) {
        let what = "the outbox is empty and all groups are caught up, twice with the same offsets";
        let mut before = Vec::new();
        eventually(DEADLINE, what, async || {
            let now = self.lags().await?;
            let rows = self
                .sql(&self.orders_db, "SELECT count(*) FROM outbox")
                .await?;
            let caught_up = rows == "0" && now.iter().all(|(_, group)| group.is_caught_up());
            let alike = std::mem::replace(&mut before, now.clone()) == now;
            if caught_up && alike {
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

    /// The present state.
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
                    other => panic!("unexpected record: {other:?}"),
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
