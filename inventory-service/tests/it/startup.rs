//! Starting: before the broker and the database, with wrong tables, with wrong settings.

use inventory_service::App;
use kafka_runtime::database::parse_url;
use shared_events::Topic;
use sqlx::{Connection, PgConnection};
use test_stack::{dedicated, eventually, shared};
use tokio::time::timeout;

use crate::service::{create_topics, in_saga, run, settings};
use crate::support::{PATIENCE, chain, instance, paid};

#[tokio::test]
async fn the_service_starts_before_broker_and_database() {
    let stack = dedicated().await;
    stack.stop_kafka().await;
    let database = stack.server().url("late", "late");
    let settings = settings(&stack.bootstrap(), "late-", &database, &[]);
    let service = run(settings.clone()).await;
    service
        .wait_until_down(&["database", "kafka", "consumer"])
        .await;

    stack
        .server()
        .create_database("late", "late")
        .await
        .unwrap();
    service.wait_until_down(&["kafka", "consumer"]).await;
    stack.start_kafka().await;
    create_topics(&settings.kafka).await;
    service.wait_until_ready().await;
    service.publish(&[in_saga(paid("prod_123", 2))]).await;
    service.records(Topic::Inventory, 1).await;

    // The database also goes down while the service runs.
    stack.kill_postgres().await;
    service.publish(&[in_saga(paid("prod_123", 2))]).await;
    eventually(
        PATIENCE,
        "the service is not ready",
        async || match service.readiness().await {
            (503, _) => Ok(()),
            (_, body) => Err(body),
        },
    )
    .await;
    let refused = reqwest::get(format!("{}/products", service.url))
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    stack.start_postgres().await;
    service.records(Topic::Inventory, 2).await;
    service.wait_until_ready().await;
    service.wait_until_caught_up().await;
    service.stop().await;
}

#[tokio::test]
async fn tables_of_another_version_end_the_service_with_advice() {
    let stack = shared().await;
    let database = stack.database("migration").await;
    let settings = settings(
        stack.bootstrap(),
        &stack.unique_prefix("migration"),
        &database,
        &[],
    );
    inventory_service::app::MIGRATIONS
        .run(&instance(&database, None).pool)
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
async fn contradictory_settings_are_refused_before_binding() {
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
