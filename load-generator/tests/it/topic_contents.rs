//! What the topic contains after a load.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shared_events::{OrderCreated, OrderId};
use test_stack::eventually;

use crate::support::{Broker, PATIENCE};

/// The number of orders on each partition.
fn count_by_partition(orders: &[(i32, OrderCreated)]) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    for (partition, _) in orders {
        *counts.entry(*partition).or_default() += 1;
    }
    counts
}

fn distinct(orders: &[(i32, OrderCreated)]) -> BTreeSet<OrderId> {
    orders.iter().map(|(_, order)| order.order_id).collect()
}

/// The number of orders on each partition, from the summary.
fn reported(summary: &Value) -> BTreeMap<i32, usize> {
    serde_json::from_value(summary["partitions"].clone()).unwrap()
}

#[tokio::test]
async fn a_burst_distributes_its_orders_over_all_partitions() {
    let broker = Broker::new("load_uniform", 3).await;
    let arguments = ["burst", "--count=6000", "--customer=cust_1", "--product=p"];
    let summary = broker
        .load(&[&arguments[..], &["--quantity=2", "--amount=7.5"]].concat())
        .await;
    for (field, value) in [
        ("via", json!("kafka")),
        ("asked", json!(6000)),
        ("acknowledged", json!(6000)),
        ("failed", json!(0)),
        ("not_sent", json!(0)),
        ("interrupted", json!(false)),
    ] {
        assert_eq!(summary[field], value, "{field}: {summary}");
    }
    for name in ["p50", "p90", "p99", "p99.9", "max"] {
        assert!(summary["latency_ms"][name].is_f64(), "{name}: {summary}");
    }
    let orders = broker.orders().await;
    assert_eq!(distinct(&orders).len(), 6000);
    let counts = count_by_partition(&orders);
    assert_eq!(counts, reported(&summary));
    assert!(
        counts.values().all(|count| (1_800..2_200).contains(count)),
        "{counts:?}"
    );
    for (_, order) in orders {
        assert_eq!(order.customer_id.as_str(), "cust_1");
        assert_eq!(order.product_id.as_str(), "p");
        assert_eq!(order.quantity.to_string(), "2");
        assert_eq!(order.amount.to_string(), "7.50");
        assert_eq!(order.order_id.as_uuid().get_version_num(), 7);
    }
}

#[tokio::test]
async fn single_keys_make_one_partition_hot_with_different_orders() {
    let broker = Broker::new("load_single", 3).await;
    let summary = broker
        .load(&["burst", "--count=2000", "--keys=single"])
        .await;
    let orders = broker.orders().await;
    assert_eq!(count_by_partition(&orders), BTreeMap::from([(0, 2000)]));
    assert_eq!(reported(&summary), BTreeMap::from([(0, 2000)]));
    assert_eq!(distinct(&orders).len(), 2000);
}

#[tokio::test]
async fn zipfian_keys_make_partitions_unequally_hot() {
    let broker = Broker::new("load_zipfian", 4).await;
    let summary = broker
        .load(&["burst", "--count=5000", "--keys=zipfian"])
        .await;
    let orders = broker.orders().await;
    let counts = count_by_partition(&orders);
    assert_eq!(counts, reported(&summary));
    assert_eq!(distinct(&orders).len(), 5000);
    // 12/25, 6/25, 4/25 and 3/25 of all orders.
    for (partition, expected) in [(0, 2_400), (1, 1_200), (2, 800), (3, 600)] {
        let found = counts[&partition];
        assert!(found.abs_diff(expected) < 200, "{counts:?}");
    }
}

#[tokio::test]
async fn the_same_seed_makes_the_same_orders() {
    let mut loads = Vec::new();
    for (test, seed) in [
        ("load_seed_a", "7"),
        ("load_seed_b", "7"),
        ("load_seed_c", "8"),
    ] {
        let broker = Broker::new(test, 1).await;
        let arguments = ["burst", "--count=500", "--keys=uniform", "--seed", seed];
        assert_eq!(
            broker.load(&arguments).await["seed"],
            json!(seed.parse::<u64>().unwrap())
        );
        let orders = broker.orders().await;
        let load: Vec<_> = orders
            .into_iter()
            .map(|(_, order)| without_timestamps(order))
            .collect();
        assert_eq!(load.len(), 500);
        loads.push(load);
    }
    assert_eq!(loads[0], loads[1]);
    assert!(
        loads[0]
            .iter()
            .zip(&loads[2])
            .all(|(one, other)| one != other)
    );
}

/// An order without its timestamps, of which one is the first 48 bits of its id.
fn without_timestamps(order: OrderCreated) -> (u128, String, String, String, String) {
    (
        order.order_id.as_uuid().as_u128() << 48,
        order.customer_id.to_string(),
        order.product_id.to_string(),
        order.quantity.to_string(),
        order.amount.to_string(),
    )
}

#[tokio::test]
async fn every_kind_of_load_sends_the_number_of_orders_it_should() {
    let broker = Broker::new("load_counts", 3).await;
    let mut all = 0;
    for (arguments, expected) in [
        (&["batch", "--batch-size=70", "--batches=4"][..], 280),
        (
            &["continuous", "--events-per-second=300", "--duration=1s"],
            300,
        ),
        (
            &[
                "profile",
                "steady",
                "--events-per-second=30",
                "--duration=2s",
            ],
            60,
        ),
        (
            &[
                "profile",
                "burst",
                "--events-per-second=12",
                "--duration=3s",
            ],
            12 + 60 + 18,
        ),
        (
            &[
                "burst",
                "--count=5",
                "--acks=1",
                "--compression=zstd",
                "--linger-ms=0",
            ],
            5,
        ),
    ] {
        let summary = broker.load(arguments).await;
        assert_eq!(
            summary["acknowledged"],
            json!(expected),
            "{arguments:?}: {summary}"
        );
        all += expected;
    }
    assert_eq!(broker.orders().await.len(), all);
}

#[tokio::test]
async fn orders_without_acknowledgement_arrive_all_the_same() {
    let broker = Broker::new("load_unacknowledged", 3).await;
    let few = ["burst", "--count=7", "--acks=0"];
    let packed = ["--compression=none", "--batch-bytes=100"];
    let summary = broker.load(&[&few[..], &packed].concat()).await;
    assert_eq!(summary["acknowledged"], json!(7), "{summary}");
    // With acks=0 an order counts as acknowledged when it is sent, so the broker may receive it
    // after the program has ended.
    eventually(PATIENCE, "the orders arrived", async || {
        match broker.orders().await.len() {
            7 => Ok(()),
            other => Err(format!("{other} of 7")),
        }
    })
    .await;
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate_and_latency_counts_from_due() {
    let broker = Broker::new("load_open", 3).await;
    let linger = [
        "--events-per-second=100",
        "--duration=2s",
        "--linger-ms=300",
    ];
    let summary = broker.load(&[&["continuous"], &linger[..]].concat()).await;
    assert_eq!(summary["acknowledged"], json!(200));
    // The last order is due 10 ms before the end, so the load cannot be shorter.
    assert!(summary["seconds"].as_f64().unwrap() > 1.98, "{summary}");
    // A batch waits for 300 ms, so the first order of a batch is at least that late.
    assert!(
        summary["latency_ms"]["max"].as_f64().unwrap() >= 300.0,
        "{summary}"
    );
}
