//! The whole service, in process, between a real broker and a real database.

use clap::Parser;
use inventory_service::{App, Settings};
use kafka_runtime::KafkaSettings;
use kafka_admin::Cluster;
use kafka_admin::publish::RawRecord;
use kafka_admin::records::{Query, Record};
use kafka_runtime::database::parse_url;
use serde_json::Value;
use shared_events::{
    CorrelationId, Decoded, Envelope, Event, EventId, EventType, PaymentFailed, PaymentSucceeded,
    Service, Topic, TraceParent,
};
use sqlx::{Connection, PgConnection};
use test_stack::{eventually, exclusive, shared};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, chain, owner, paid};

/// The service, and the cluster it is on.
pub struct Running {
    pub url: String,
    pub cluster: Cluster,
    shutdown: CancellationToken,
    ended: JoinSet<anyhow::Result<()>>,
}

fn settings(bootstrap: &str, prefix: &str, database: &str, more: &[&str]) -> Settings {
    let mut arguments = vec!["inventory-service", "--port=0"];
    let named = [
        format!("--bootstrap-servers={bootstrap}"),
        format!("--name-prefix={prefix}"),
        format!("--database-url={database}"),
    ];
    arguments.extend(named.iter().map(String::as_str));
    arguments.extend(more);
    Settings::try_parse_from(arguments).unwrap()
}

async fn run(settings: Settings) -> Running {
    let cluster = Cluster::new(&settings.kafka).unwrap();
    let app = App::build(settings).await.unwrap();
    let url = format!("http://{}", app.address().unwrap());
    let shutdown = CancellationToken::new();
    let mut ended = JoinSet::new();
    ended.spawn(app.run(shutdown.clone()));
    Running {
        url,
        cluster,
        shutdown,
        ended,
    }
}

/// The service with topics, a group and a database of its own on the shared stack.
pub async fn run_shared(test: &str, more: &[&str]) -> (Running, Settings) {
    let stack = shared().await;
    let prefix = stack.unique_prefix(test);
    let settings = settings(
        stack.bootstrap(),
        &prefix,
        &stack.database(test).await,
        more,
    );
    create_topics(&settings.kafka).await;
    (run(settings.clone()).await, settings)
}

async fn create_topics(kafka: &KafkaSettings) {
    let topics = [Topic::Payments, Topic::Inventory, Topic::InventoryDlq];
    let cluster = Cluster::new(kafka).unwrap();
    cluster.create_topics(&topics, None).await.unwrap();
}

impl Running {
    async fn readiness(&self) -> (u16, Value) {
        let response = reqwest::get(format!("{}/health/ready", self.url))
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn until_ready(&self) {
        eventually(PATIENCE, "the service is ready", async || {
            match self.readiness().await {
                (200, _) => Ok(()),
                (_, not) => Err(not),
            }
        })
        .await;
    }

    /// Waits until readiness shows these components down, and no others.
    async fn until_down(&self, down: &[&str]) {
        let look = async || {
            let (_, body) = self.readiness().await;
            let components = body["components"].as_array().unwrap().iter();
            let seen: Vec<_> = components
                .filter(|component| component["status"] == "down")
                .map(|component| component["name"].as_str().unwrap())
                .collect();
            if seen == down { Ok(()) } else { Err(body) }
        };
        eventually(PATIENCE, "readiness names what is away", look).await;
    }

    pub async fn tell(&self, events: &[Envelope]) {
        let records: Vec<_> = events
            .iter()
            .map(|event| RawRecord::event(event).unwrap())
            .collect();
        self.cluster.publish(&records).await.unwrap();
    }

    /// Waits for this many records in a topic.
    async fn records(&self, topic: Topic, count: usize) -> Vec<Record> {
        let name = self.cluster.prefix().topic(topic);
        eventually(PATIENCE, "the records are there", async || {
            let records = self.cluster.read(&name, &Query::default()).await.unwrap();
            if records.len() == count {
                Ok(records)
            } else {
                Err(format!("{} records", records.len()))
            }
        })
        .await
    }

    pub async fn until_at_rest(&self) {
        let group = self.cluster.prefix().group(Service::Inventory);
        let topics = [self.cluster.prefix().topic(Topic::Payments)];
        eventually(PATIENCE, "nothing is left to read", async || {
            let lag = self.cluster.lag(&group, &topics).await.unwrap();
            if lag.is_at_rest() { Ok(()) } else { Err(lag) }
        })
        .await;
    }

    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.ended.join_next().await.unwrap().unwrap().unwrap();
    }
}

pub fn in_saga(event: impl Into<Event>) -> Envelope {
    Envelope::first(event, CorrelationId::random(), TraceParent::random())
}

fn event(record: &Record) -> Envelope {
    match record.decode().unwrap() {
        Decoded::Event(envelope) => *envelope,
        Decoded::UnknownType(name) => panic!("{name}"),
    }
}

#[tokio::test]
async fn each_payment_is_answered_in_its_saga_and_nothing_else_is() {
    let (service, _) = run_shared("answers", &[]).await;
    let payments: Vec<PaymentSucceeded> =
        vec![paid("prod_123", 2), paid("prod_123", 10), paid("prod_x", 1)];
    let mut told: Vec<_> = payments.iter().cloned().map(in_saga).collect();
    let declined = paid("prod_123", 1);
    told.push(in_saga(PaymentFailed {
        order_id: declined.order_id,
        amount: declined.amount,
        reason: "amount_above_limit".to_owned(),
        occurred_at: declined.occurred_at,
    }));
    service.tell(&told).await;

    let answers = service.records(Topic::Inventory, 3).await;
    service.until_at_rest().await;
    for (asked, reason) in told
        .iter()
        .zip([None, Some("out_of_stock"), Some("unknown_product")])
    {
        let key = asked.key().into_bytes();
        let record = answers
            .iter()
            .find(|record| record.key.as_ref() == Some(&key))
            .unwrap();
        let answer = event(record);
        let expected = match reason {
            None => EventType::InventoryReserved,
            Some(_) => EventType::InventoryOutOfStock,
        };
        let (asked, told) = (&asked.headers, &answer.headers);
        assert_eq!(answer.event.event_type(), expected);
        assert_eq!(
            told.event_id,
            EventId::of(answer.event.order_id(), expected)
        );
        assert_eq!(told.correlation_id, asked.correlation_id);
        assert_eq!(told.causation_id, asked.event_id.as_uuid());
        if let Event::InventoryOutOfStock(refusal) = answer.event {
            assert_eq!(Some(refusal.reason.as_str()), reason);
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn a_payment_told_again_is_answered_again_and_takes_stock_once() {
    let (service, settings) = run_shared("told_again", &[]).await;
    let payment = in_saga(paid("prod_123", 2));
    service.tell(&[payment.clone(), payment.clone()]).await;
    service.records(Topic::Inventory, 2).await;
    // The third comes to another process, which remembers nothing.
    service.stop().await;
    let service = run(settings.clone()).await;
    service.tell(&[payment]).await;
    let answers = service.records(Topic::Inventory, 3).await;
    service.until_at_rest().await;
    for answer in &answers {
        assert_eq!(
            (&answer.key, &answer.headers, &answer.value),
            (&answers[0].key, &answers[0].headers, &answers[0].value)
        );
    }
    let shown: Value = reqwest::get(format!("{}/products/prod_123", service.url))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(shown["quantity"], 7);
    service.stop().await;
}

#[tokio::test]
async fn an_order_for_the_poison_product_is_set_aside_and_the_next_one_is_answered() {
    let (service, settings) = run_shared("poison", &[]).await;
    let (poison, good) = (
        in_saga(paid("prod_ignore", 1)),
        in_saga(paid("prod_123", 1)),
    );
    service.tell(&[poison.clone(), good.clone()]).await;
    let letters = service.records(Topic::InventoryDlq, 1).await;
    assert_eq!(letters[0].key, Some(poison.key().into_bytes()));
    let class = letters[0]
        .header_pairs()
        .find(|(name, _)| *name == "dlq-error-class");
    assert_eq!(class.unwrap().1, Some(b"domain_rule".as_slice()));
    let answers = service.records(Topic::Inventory, 1).await;
    assert_eq!(answers[0].key, Some(good.key().into_bytes()));
    service.until_at_rest().await;
    service.stop().await;

    let repaired = Settings {
        poison_product: "".parse().unwrap(),
        ..settings
    };
    let service = run(repaired).await;
    service.tell(&[poison]).await;
    let answers = service.records(Topic::Inventory, 2).await;
    let mut types: Vec<_> = answers
        .iter()
        .map(|answer| event(answer).event.event_type())
        .collect();
    types.dedup();
    assert_eq!(types, [EventType::InventoryReserved]);
    service.stop().await;
}

#[tokio::test]
async fn it_starts_before_everything_else_and_becomes_ready_by_itself() {
    let stack = exclusive().await;
    stack.stop_kafka().await;
    let database = stack.server().url("late", "late");
    let settings = settings(&stack.bootstrap(), "late-", &database, &[]);
    let service = run(settings.clone()).await;
    service.until_down(&["database", "kafka", "consumer"]).await;

    stack
        .server()
        .create_database("late", "late")
        .await
        .unwrap();
    service.until_down(&["kafka", "consumer"]).await;
    stack.start_kafka().await;
    create_topics(&settings.kafka).await;
    service.until_ready().await;
    service.tell(&[in_saga(paid("prod_123", 2))]).await;
    service.records(Topic::Inventory, 1).await;

    // And the same while it runs.
    stack.kill_postgres().await;
    service.tell(&[in_saga(paid("prod_123", 2))]).await;
    eventually(PATIENCE, "the database is named", async || {
        match service.readiness().await {
            (503, _) => Ok(()),
            (_, body) => Err(body),
        }
    })
    .await;
    let refused = reqwest::get(format!("{}/products", service.url))
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    stack.start_postgres().await;
    service.records(Topic::Inventory, 2).await;
    service.until_ready().await;
    service.until_at_rest().await;
    service.stop().await;
}

#[tokio::test]
async fn tables_of_another_version_end_it_with_a_line_that_says_what_to_do() {
    let stack = shared().await;
    let database = stack.database("migration").await;
    let settings = settings(
        stack.bootstrap(),
        &stack.unique_prefix("migration"),
        &database,
        &[],
    );
    inventory_service::app::MIGRATIONS
        .run(&owner(&database, None).pool)
        .await
        .unwrap();
    let mut connection = PgConnection::connect_with(&parse_url(&database).unwrap())
        .await
        .unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET checksum = 'other'")
        .execute(&mut connection)
        .await
        .unwrap();

    let mut service = run(settings).await;
    let ended = timeout(PATIENCE, service.ended.join_next());
    let ended = ended.await.unwrap().unwrap().unwrap();
    let line = chain(ended.unwrap_err().as_ref());
    assert!(
        line.contains("./sandbox reset") && line.contains("migration 1"),
        "{line}"
    );
    assert!(!line.contains('\n'), "{line}");
}

#[tokio::test]
async fn settings_that_do_not_fit_together_are_refused_before_it_listens() {
    let unused = "postgres://nobody:x@127.0.0.1:1/none";
    for (more, says) in [
        (
            ["--static-membership=true", "--delivery=exactly-once"],
            "SLOT",
        ),
        (
            ["--protection-off=idempotent-effect", "--sandbox-unsafe=0"],
            "SANDBOX_UNSAFE=1",
        ),
        (
            ["--crash-at=effect-committed", "--sandbox-unsafe=0"],
            "SANDBOX_UNSAFE=1",
        ),
    ] {
        let refused = App::build(settings("127.0.0.1:1", "", unused, &more))
            .await
            .err()
            .unwrap();
        assert!(refused.to_string().contains(says), "{refused}");
    }
}
