//! The audit of a test's shop: the crate that the command `audit` uses, with the duplicates and dead letters that the test allows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use audit::{Allowed, Audit, CaughtUp, Report, Rule, Sources};
use cluster_reader::{ClusterReader, Group, ReaderSettings};
use shared_events::{OrderId, Service};
use test_stack::eventually;

use super::{DEADLINE, Shop};

impl Shop {
    /// Waits until all groups are caught up, and expects no violation, and that each request has created one order.
    pub async fn is_correct(&self, allowed: &Allowed) {
        self.breaks(allowed, &[]).await;
        for orders in self.orders_of_requests().await {
            assert_eq!(orders.len(), 1, "one request created {orders:?}");
        }
    }

    /// Waits until all groups are caught up, and expects exactly these rules to be violated.
    pub async fn breaks(&self, allowed: &Allowed, rules: &[Rule]) {
        self.caught_up().await;
        let report = self.report(allowed).await;
        let broken: BTreeSet<_> = report.violated().into_iter().collect();
        let expected = rules.iter().copied().collect();
        assert_eq!(broken, expected, "{report}");
    }

    /// Audits the present state.
    pub async fn report(&self, allowed: &Allowed) -> Report {
        let sources = self.sources();
        let placed = self.placed().into_iter();
        let audit = Audit {
            sources: &sources,
            allowed: allowed.clone(),
            since: None,
            accepted_by_client: placed.map(|placed| placed.order_id).collect(),
        };
        audit.run().await.unwrap()
    }

    fn sources(&self) -> Sources {
        Sources {
            kafka: self.kafka.clone(),
            orders_database: self.server.url(&self.orders_db, &self.orders_db),
            inventory_database: self.server.url(&self.inventory_db, &self.inventory_db),
            scratch: std::env::temp_dir(),
        }
    }

    /// The orders of each accepted request, as the responses and the database say. Each request has its own customer.
    pub async fn orders_of_requests(&self) -> Vec<BTreeSet<OrderId>> {
        let mut by_customer = BTreeMap::<String, BTreeSet<OrderId>>::new();
        for accepted in self.placed() {
            let orders = by_customer.entry(accepted.customer).or_default();
            orders.insert(accepted.order_id);
        }
        let rows = "SELECT customer_id, order_id FROM orders";
        let rows = self.sql(&self.orders_db, rows).await.unwrap();
        for (customer, order) in rows.lines().filter_map(|row| row.split_once('|')) {
            if let Some(orders) = by_customer.get_mut(customer) {
                orders.insert(order.parse().unwrap());
            }
        }
        by_customer.into_values().collect()
    }

    /// Waits until the outbox is empty and all groups are caught up, see [`CaughtUp`].
    pub async fn caught_up(&self) {
        let what = "the outbox is empty and all groups are caught up, twice with the same offsets";
        let sources = self.sources();
        let mut caught_up = CaughtUp::new(&sources);
        eventually(DEADLINE, what, async || {
            caught_up
                .look()
                .await
                .unwrap_or_else(|error| Err(format!("{error:#}")))
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
}
