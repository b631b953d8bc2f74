//! How sagas that end are counted.

use kafka_runtime::Handler;
use order_service::handler::OrderFacts;
use order_service::metrics::Metrics;
use prometheus::{Registry, TextEncoder};
use shared_events::{EventType, OrderId};

use crate::facts::{time, told};
use crate::support::database;
use EventType::{
    InventoryOutOfStock, InventoryReserved, OrderCreated, PaymentFailed, PaymentRefunded,
    PaymentSucceeded,
};

/// A handler, and what it counts.
struct Counted {
    handler: OrderFacts,
    registry: Registry,
}

impl Counted {
    async fn new(test: &str) -> Self {
        let (_, pool) = database(test).await;
        let registry = Registry::new();
        let handler = OrderFacts::new(pool, Metrics::new(&registry).unwrap());
        Self { handler, registry }
    }

    /// Applies a batch: each event with the second it was told at.
    async fn apply(&self, order: OrderId, events: &[(EventType, i64)]) {
        let read = |(event, second): &(EventType, i64)| {
            let told = told(order, *event);
            self.handler.read(told, time(*second)).unwrap().unwrap()
        };
        let work: Vec<_> = events.iter().map(read).collect();
        self.handler
            .apply(&work.iter().collect::<Vec<_>>())
            .await
            .unwrap();
    }

    /// How many sagas ended so, and how many seconds they took together.
    fn ended(&self, outcome: &str) -> (f64, f64) {
        let text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        let value = |name: &str| -> f64 {
            let series = format!("saga_seconds_{name}{{outcome=\"{outcome}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&series));
            value.expect(&series).parse().unwrap()
        };
        (value("count"), value("sum"))
    }
}

#[tokio::test]
async fn a_saga_counts_once_when_it_ends_with_the_time_since_its_acceptance() {
    let counted = Counted::new("saga_ends").await;
    let stories: [(&str, &[(EventType, i64)]); 3] = [
        (
            "confirmed",
            &[
                (OrderCreated, 1),
                (PaymentSucceeded, 2),
                (InventoryReserved, 4),
            ],
        ),
        (
            "cancelled",
            &[
                (OrderCreated, 1),
                (PaymentSucceeded, 2),
                (InventoryOutOfStock, 3),
                (PaymentRefunded, 6),
            ],
        ),
        ("failed", &[(OrderCreated, 1), (PaymentFailed, 3)]),
    ];
    for (outcome, story) in stories {
        let order = OrderId::now();
        let (last, before) = story.split_last().unwrap();
        for event in before {
            counted.apply(order, &[*event]).await;
        }
        assert_eq!(counted.ended(outcome), (0.0, 0.0), "{outcome}");
        counted.apply(order, &[*last]).await;
        let once = (1.0, (last.1 - 1) as f64);
        assert_eq!(counted.ended(outcome), once, "{outcome}");
        counted.apply(order, &[*last]).await;
        counted.apply(order, story).await;
        assert_eq!(counted.ended(outcome), once, "{outcome} told again");
        // A batch of another order has all of it at once.
        counted.apply(OrderId::now(), story).await;
        assert_eq!(counted.ended(outcome), (2.0, 2.0 * once.1), "{outcome}");
    }
}

#[tokio::test]
async fn an_end_told_again_with_a_fact_that_is_new_counts_no_second_time() {
    let counted = Counted::new("saga_again").await;
    let order = OrderId::now();
    let overtaken = [(OrderCreated, 1), (InventoryReserved, 3)];
    counted.apply(order, &overtaken).await;
    assert_eq!(counted.ended("confirmed"), (1.0, 2.0));
    let all = [overtaken[0], overtaken[1], (PaymentSucceeded, 2)];
    counted.apply(order, &all).await;
    assert_eq!(counted.ended("confirmed"), (1.0, 2.0));
}

#[tokio::test]
async fn a_saga_whose_acceptance_is_told_last_counts_then() {
    let counted = Counted::new("saga_late").await;
    let order = OrderId::now();
    counted
        .apply(order, &[(PaymentSucceeded, 2), (InventoryReserved, 3)])
        .await;
    assert_eq!(counted.ended("confirmed"), (0.0, 0.0));
    counted.apply(order, &[(OrderCreated, 1)]).await;
    assert_eq!(counted.ended("confirmed"), (1.0, 2.0));
}
