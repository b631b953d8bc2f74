//! The promise of the outbox: every committed row is published, whatever else writes and whatever dies.

use std::collections::BTreeMap;

use kafka_runtime::outbox::{self, Relay, RelaySettings};
use kafka_runtime::{Faults, KafkaSettings, Protection};
use prometheus::Registry;
use service_kit::Readiness;
use service_kit::trace::Tracer;
use shared_events::{OrderId, Service, Topic};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use test_stack::{dedicated, eventually, shared};

use crate::harness::{DEADLINE, Harness, reports};
use crate::test_service::orders;

const TABLE: &str = "CREATE TABLE outbox (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic TEXT NOT NULL,
    key TEXT NOT NULL, headers JSONB NOT NULL, value BYTEA NOT NULL, created_at TIMESTAMPTZ NOT NULL DEFAULT now())";

struct Outbox {
    options: PgConnectOptions,
    harness: Harness,
}

struct RunningRelay {
    relay: Relay,
    registry: Registry,
    readiness: Readiness,
}

impl Outbox {
    async fn new(test: &str) -> Self {
        let harness = Harness::new(test, 3).await;
        Self::at(&shared().await.database(test).await, harness).await
    }

    async fn at(url: &str, harness: Harness) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let outbox = Self { options, harness };
        sqlx::query(TABLE)
            .execute(&mut outbox.connect().await)
            .await
            .unwrap();
        outbox
    }

    async fn connect(&self) -> PgConnection {
        self.options.connect().await.unwrap()
    }

    fn relay(&self, faults: Faults) -> RunningRelay {
        let (registry, readiness) = (Registry::new(), Readiness::new("test"));
        let kafka: KafkaSettings = self.harness.kafka.clone();
        let settings = RelaySettings {
            service: Service::Order,
            database: self.options.clone(),
            kafka,
            faults,
            tracer: Tracer::default(),
        };
        let relay = Relay::start(settings, &readiness, &registry).unwrap();
        RunningRelay {
            relay,
            registry,
            readiness,
        }
    }

    async fn write(&self, count: usize) {
        let mut connection = self.connect().await;
        outbox::insert(&mut connection, &orders(count))
            .await
            .unwrap();
    }

    async fn left(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM outbox")
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }

    async fn drained(&self) {
        eventually(DEADLINE, "the outbox is empty", async || {
            match self.left().await {
                0 => Ok(()),
                left => Err(format!("{left} rows left")),
            }
        })
        .await;
    }

    async fn published(&self) -> BTreeMap<OrderId, usize> {
        let mut published = BTreeMap::new();
        for record in self.harness.records(Topic::Orders).await {
            let shared_events::Decoded::Event(event) = record.decode().unwrap() else {
                continue;
            };
            *published.entry(event.event.order_id()).or_insert(0) += 1;
        }
        published
    }
}

impl RunningRelay {
    async fn reports(&self, text: &str) {
        reports(&self.readiness, text).await;
    }

    fn leads(&self) -> bool {
        let metrics = prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        metrics.lines().any(|line| line == "outbox_relay_leads 1")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_published_once_with_its_key_and_headers() {
    let outbox = Outbox::new("relay_all").await;
    let relay = outbox.relay(Faults::default());
    let events = orders(2_500);
    outbox::insert(&mut outbox.connect().await, &events)
        .await
        .unwrap();
    relay.relay.waker().wake();
    outbox.drained().await;
    relay.relay.stop().await;
    let published = outbox.published().await;
    assert_eq!(
        (published.len(), published.values().max()),
        (2_500, Some(&1))
    );
    for record in outbox.harness.records(Topic::Orders).await {
        let shared_events::Decoded::Event(event) = record.decode().unwrap() else {
            panic!("{record:?}")
        };
        assert!(events.contains(&event));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_commits_after_a_younger_one_is_published() {
    let outbox = Outbox::new("relay_slow_commit").await;
    let relay = outbox.relay(Faults::default());
    let mut slow = outbox.connect().await;
    let mut transaction = slow.begin().await.unwrap();
    outbox::insert(&mut transaction, &orders(3)).await.unwrap();
    outbox.write(3).await;
    eventually(
        DEADLINE,
        "the younger rows are published",
        async || match outbox.published().await.len() {
            3 => Ok(()),
            other => Err(format!("{other} published")),
        },
    )
    .await;
    outbox.drained().await;
    transaction.commit().await.unwrap();
    eventually(
        DEADLINE,
        "the older rows are published",
        async || match outbox.published().await.len() {
            6 => Ok(()),
            other => Err(format!("{other} published")),
        },
    )
    .await;
    outbox.drained().await;
    relay.relay.stop().await;
    assert_eq!(outbox.published().await.values().max(), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_relays_one_leads_and_the_other_takes_over() {
    let outbox = Outbox::new("relay_two").await;
    let (first, second) = (
        outbox.relay(Faults::default()),
        outbox.relay(Faults::default()),
    );
    eventually(DEADLINE, "one of them leads", async || {
        match (first.leads(), second.leads()) {
            (true, false) | (false, true) => Ok(()),
            both => Err(format!("{both:?}")),
        }
    })
    .await;
    outbox.write(500).await;
    outbox.drained().await;
    let (leader, follower) = if first.leads() {
        (first, second)
    } else {
        (second, first)
    };
    leader.relay.stop().await;
    outbox.write(500).await;
    outbox.drained().await;
    assert!(follower.leads());
    follower.relay.stop().await;
    let published = outbox.published().await;
    assert_eq!(
        (published.len(), published.values().max()),
        (1_000, Some(&1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lock_two_relays_publish_the_same_rows() {
    let outbox = Outbox::new("relay_no_lock").await;
    // Both relays find the rows at their start and read them at once. Each round is another chance.
    for _ in 0..20 {
        outbox.write(1_000).await;
        let relays =
            [(); 2].map(|()| outbox.relay(Faults::new(Some(Protection::SingleRelay), None)));
        outbox.drained().await;
        for relay in relays {
            relay.relay.stop().await;
        }
        if outbox.published().await.values().any(|times| *times > 1) {
            return;
        }
    }
    panic!("20 rounds without a row published twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_broker_refuses_degrades_the_relay_until_it_is_gone() {
    let outbox = Outbox::new("relay_refused").await;
    let relay = outbox.relay(Faults::default());
    relay.reports("relay ready").await;
    let mut connection = outbox.connect().await;
    sqlx::query(
        "INSERT INTO outbox (topic, key, headers, value) VALUES ('no topic', 'k', '{}', '')",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    relay
        .reports("relay degraded (the outbox could not be published")
        .await;
    sqlx::query("DELETE FROM outbox")
        .execute(&mut connection)
        .await
        .unwrap();
    relay.reports("relay ready").await;
    relay.relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_broker_or_database_only_delays_the_rows() {
    let stack = dedicated().await;
    let harness = Harness::on(&stack.bootstrap(), "", 3).await;
    let outbox = Outbox::at(&stack.database("relay_outage").await, harness).await;
    let relay = outbox.relay(Faults::default());
    outbox.write(10).await;
    outbox.drained().await;

    stack.kill_kafka().await;
    relay.reports("relay degraded").await;
    // Nothing is published meanwhile: the relay asks for a broker by itself.
    stack.start_kafka().await;
    relay.reports("relay ready").await;
    stack.kill_kafka().await;
    outbox.write(10).await;
    relay.reports("relay degraded").await;
    assert!(
        relay.readiness.is_ready(),
        "orders are accepted without a broker"
    );
    stack.start_kafka().await;
    outbox.drained().await;

    stack.kill_postgres().await;
    stack.start_postgres().await;
    outbox.write(10).await;
    outbox.drained().await;
    relay.relay.stop().await;
    assert_eq!(outbox.published().await.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_waits_for_the_broker_keeps_its_lock() {
    let stack = dedicated().await;
    let harness = Harness::on(&stack.bootstrap(), "", 3).await;
    let outbox = Outbox::at(&stack.database("relay_waits").await, harness).await;
    let relay = outbox.relay(Faults::default());
    outbox.write(10).await;
    outbox.drained().await;
    stack.pause_kafka();
    outbox.write(10).await;
    let mut admin = outbox.connect().await;
    let mut first = None;
    // PostgreSQL ends a session after 5 s without a statement, and a new session would be younger.
    let last_statement = "SELECT extract(epoch FROM state_change - backend_start)::float8 FROM pg_locks JOIN pg_stat_activity USING (pid)
                 WHERE locktype = 'advisory' AND granted AND datname = current_database()";
    eventually(
        DEADLINE,
        "the leader's session has a statement after 5.5 s",
        async || {
            let age: Option<f64> = sqlx::query_scalar(last_statement)
                .fetch_optional(&mut admin)
                .await
                .unwrap();
            let age = age.ok_or("there is no leader")?;
            let start = *first.get_or_insert(age);
            match age - start > 5.5 {
                true => Ok(()),
                false => Err("not yet"),
            }
        },
    )
    .await;
    stack.resume_kafka();
    outbox.drained().await;
    relay.relay.stop().await;
    let published = outbox.published().await;
    assert_eq!((published.len(), published.values().max()), (20, Some(&1)));
}
