//! What the tests share: a stock in a database of its own, and payments.

use std::time::Duration;

use chrono::{DateTime, Utc};
use inventory_service::app::{CONNECTIONS, MIGRATIONS};
use inventory_service::domain::{Decision, Outcome, StockLevel};
use inventory_service::metrics::Metrics;
use inventory_service::products::{self, StockChange};
use inventory_service::store::Store;
use kafka_runtime::database::{Database, parse_url};
use kafka_runtime::{Failure, Faults, Protection};
use prometheus::Registry;
use shared_events::{OrderId, PaymentId, PaymentSucceeded, ProductId, Quantity};
use sqlx::PgPool;
use test_stack::shared;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A stock in a database.
pub struct Stock {
    pub url: String,
    pub pool: PgPool,
    pub store: Store,
    pub registry: Registry,
}

/// A database of the test's own, with the service's tables.
pub async fn stock(test: &str) -> Stock {
    let url = shared().await.database(test).await;
    // Not over the service's connections, which have time-outs.
    let session = PgPool::connect(&url).await.unwrap();
    MIGRATIONS.run(&session).await.unwrap();
    instance(&url, None)
}

/// The store of another instance of the service, on the same database.
pub fn instance(url: &str, off: Option<Protection>) -> Stock {
    let database = Database::new(parse_url(url).unwrap(), CONNECTIONS);
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let pool = database.pool().clone();
    Stock {
        url: url.to_owned(),
        store: Store::new(pool.clone(), Faults::new(off, None), metrics),
        pool,
        registry,
    }
}

impl Stock {
    pub async fn put(&self, product: &str, pieces: u32) -> StockChange {
        let level = StockLevel::new(pieces).unwrap();
        products::set_stock(&self.pool, &product.parse().unwrap(), level)
            .await
            .unwrap()
    }

    pub async fn left(&self, product: &str) -> i32 {
        let product: ProductId = product.parse().unwrap();
        let found = products::find(&self.pool, &product).await.unwrap();
        found.unwrap().quantity.as_i32()
    }

    pub async fn decide(&self, payments: &[PaymentSucceeded]) -> Result<Vec<Decision>, Failure> {
        let payments: Vec<_> = payments.iter().collect();
        self.store.decide(&payments).await
    }

    /// Retries a failed batch, as the member does. A `BadValue` fails the test.
    pub async fn decide_with_retries(&self, payments: &[PaymentSucceeded]) -> Vec<Decision> {
        test_stack::eventually(PATIENCE, "the batch is decided", async || {
            match self.decide(payments).await {
                Ok(decisions) => Ok(decisions),
                Err(failure @ Failure::Retryable { .. }) => Err(chain(&failure)),
                Err(failure @ Failure::BadValue { .. }) => panic!("{}", chain(&failure)),
            }
        })
        .await
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str, label: Option<&str>) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.unwrap().get_metric().iter();
        let wanted = metrics.filter(|metric| {
            let mut labels = metric.get_label().iter();
            label.is_none_or(|label| labels.any(|pair| pair.value() == label))
        });
        wanted
            .map(|metric| metric.get_counter().get_value() as u64)
            .sum()
    }
}

pub fn paid(product: &str, pieces: u32) -> PaymentSucceeded {
    let order_id = OrderId::now();
    PaymentSucceeded {
        order_id,
        payment_id: PaymentId::of(order_id),
        product_id: product.parse().unwrap(),
        quantity: Quantity::new(pieces).unwrap(),
        amount: "250.5".parse().unwrap(),
        // More digits than PostgreSQL keeps.
        occurred_at: "2026-01-02T03:04:05.123456789Z"
            .parse::<DateTime<Utc>>()
            .unwrap(),
    }
}

pub fn outcomes(decisions: &[Decision]) -> Vec<Outcome> {
    decisions.iter().map(|decision| decision.outcome).collect()
}

/// An error and its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}
