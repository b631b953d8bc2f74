//! Each saga is counted once, when it ends.

use kafka_runtime::Handler;
use order_service::handler::OrderHandler;
use order_service::metrics::Metrics;
use prometheus::{Registry, TextEncoder};
use shared_events::{EventType, OrderId};

use crate::events::{event, time};
use crate::support::database;
use EventType::{
    InventoryOutOfStock, InventoryReserved, OrderCreated, PaymentFailed, PaymentRefunded,
    PaymentSucceeded,
};

/// A handler and its metrics.
struct Counted {
    handler: OrderHandler,
    registry: Registry,
}

impl Counted {
    async fn new(test: &str) -> Self {
        let (_, pool) = database(test).await;
        let registry = Registry::new();
        let handler = OrderHandler::new(pool, Metrics::new(&registry).unwrap());
        Self { handler, registry }
    }

    /// Applies a batch of events, each with its time in seconds.
    async fn apply(&self, order: OrderId, events: &[(EventType, i64)]) {
        let read = |(event_type, second): &(EventType, i64)| {
            let event = event(order, *event_type);
            self.handler.read(event, time(*second)).unwrap().unwrap()
        };
        let work: Vec<_> = events.iter().map(read).collect();
        self.handler
            .apply(&work.iter().collect::<Vec<_>>())
            .await
            .unwrap();
    }

    /// The number of sagas with this outcome, and the sum of their seconds.
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
async fn a_saga_counts_once_with_the_time_since_its_order_was_created() {
    let counted = Counted::new("saga_ends").await;
    let sagas: [(&str, &[(EventType, i64)]); 3] = [
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
    for (outcome, saga) in sagas {
        let order = OrderId::now();
        let (last, before) = saga.split_last().unwrap();
        for event in before {
            counted.apply(order, &[*event]).await;
        }
        assert_eq!(counted.ended(outcome), (0.0, 0.0), "{outcome}");
        counted.apply(order, &[*last]).await;
        let once = (1.0, (last.1 - 1) as f64);
        assert_eq!(counted.ended(outcome), once, "{outcome}");
        counted.apply(order, &[*last]).await;
        counted.apply(order, saga).await;
        assert_eq!(counted.ended(outcome), once, "{outcome} repeated");
        // Another order, with all its events in one batch.
        counted.apply(OrderId::now(), saga).await;
        assert_eq!(counted.ended(outcome), (2.0, 2.0 * once.1), "{outcome}");
    }
}

#[tokio::test]
async fn a_repeated_last_event_with_a_new_fact_counts_no_saga_twice() {
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
async fn a_saga_whose_order_created_arrives_last_counts_then() {
    let counted = Counted::new("saga_late").await;
    let order = OrderId::now();
    counted
        .apply(order, &[(PaymentSucceeded, 2), (InventoryReserved, 3)])
        .await;
    assert_eq!(counted.ended("confirmed"), (0.0, 0.0));
    counted.apply(order, &[(OrderCreated, 1)]).await;
    assert_eq!(counted.ended("confirmed"), (1.0, 2.0));
}
