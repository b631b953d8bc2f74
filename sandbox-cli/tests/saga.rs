//! The saga from end to end: what the shop promises, with whatever ends, freezes or is missing meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and says where"
)]

#[path = "shop/doctored.rs"]
mod doctored;
mod shop;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use local_runtime::dist::Sources;
use local_runtime::kafka_tools;
use messaging::faults::CrashPoint;
use reqwest::StatusCode;
use shared_events::{OrderId, Service, Topic};
use shop::audit::Allowed;
use shop::clients::{PRODUCT, Request};
use shop::{
    DEADLINE, INVENTORY, INVENTORY_2, Instance, ONE_EACH, ORDER, ORDER_2, PAYMENT, Shop, TWO_EACH,
};
use sqlx::{Connection, PgConnection};
use test_stack::{OwnStack, eventually, exclusive};

fn told_again() -> Allowed {
    Allowed {
        told_again: true,
        ..Allowed::default()
    }
}

/// The bodies are those of the README.
const STORIES: [(&str, &str, Option<&str>); 4] = [
    (
        r#"{"customerId": "cust_happy_path", "productId": "prod_123", "quantity": 2, "amount": 250.50}"#,
        "CONFIRMED",
        None,
    ),
    (
        r#"{"customerId": "cust_large_quantity", "productId": "prod_123", "quantity": 10, "amount": 250.00}"#,
        "CANCELLED",
        Some("out_of_stock"),
    ),
    (
        r#"{"customerId": "cust_big_spender", "productId": "prod_123", "quantity": 1, "amount": 1500.00}"#,
        "FAILED",
        Some("amount_above_limit"),
    ),
    (
        r#"{"customerId": "cust_dlq_test", "productId": "prod_ignore", "quantity": 1, "amount": 99.00}"#,
        "PAID",
        None,
    ),
];

#[tokio::test]
async fn the_four_stories_end_alike_however_often_they_are_told() {
    let shop = Shop::open("stories").await;
    shop.run(&ONE_EACH).await;
    let mut allowed = Allowed::default();
    for _ in 0..2 {
        shop.restock("prod_123", 9).await;
        for (body, ends, reason) in STORIES {
            let id = post(&shop, body).await;
            let order = shop.status(ORDER, id, Some(ends)).await;
            assert_eq!(order["failureReason"].as_str(), reason, "{order}");
            if ends == "PAID" {
                allowed.set_aside.insert(id);
            }
        }
        shop.at_rest().await;
    }
    shop.is_sound(&allowed).await;
}

/// As curl would.
async fn post(shop: &Shop, body: &'static str) -> OrderId {
    let post = shop.http.post(format!("{}/orders", shop.url(ORDER)));
    let answer = post.header("Content-Type", "application/json").body(body);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let accepted: serde_json::Value = answer.json().await.unwrap();
    accepted["orderId"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn five_hundred_orders_survive_every_service_being_killed_again_and_again() {
    let seed = fastrand::u64(..);
    println!("seed {seed}: fastrand::Rng::with_seed brings the same victims and moments");
    let mut chance = fastrand::Rng::with_seed(seed);
    let shop = Shop::open("killed").await;
    shop.run(&TWO_EACH).await;
    shop.restock(PRODUCT, 300).await;

    let mut victims = [TWO_EACH, TWO_EACH].concat();
    chance.shuffle(&mut victims);
    let requests = Request::mixed(500);
    for (victim, requests) in victims.iter().zip(requests.chunks(42)) {
        // No wait for anything: the moment of the crash.
        let moment = Duration::from_millis(chance.u64(0..250));
        let crash = async {
            tokio::time::sleep(moment).await;
            shop.kill(*victim).await;
            shop.start(*victim, &[]).await;
        };
        tokio::join!(shop.place_all(requests, 2), crash);
    }
    shop.ready(&TWO_EACH).await;
    assert_eq!(shop.accepted(), 500);
    shop.is_sound(&told_again()).await;
}

/// Orders without a pause between them, until told to stop.
async fn place_until(shop: &Shop, stop: &AtomicBool) {
    let client = async || {
        while !stop.load(Ordering::Relaxed) {
            shop.place_all(&Request::mixed(8), 1).await;
            // A customer thinks before the next order, and leaves the two cores to the others.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::join!(client(), client());
}

async fn more_are_accepted(shop: &Shop, orders: usize) {
    let wanted = shop.accepted() + orders;
    eventually(
        DEADLINE,
        "orders are accepted meanwhile",
        async || match shop.accepted() {
            now if now >= wanted => Ok(()),
            now => Err(format!("{now} of {wanted}")),
        },
    )
    .await;
}

async fn somebody_is_refused(shop: &Shop) {
    let before = shop.refused();
    eventually(DEADLINE, "a client is told to come again", async || {
        if shop.refused() > before {
            Ok(())
        } else {
            Err("nobody yet")
        }
    })
    .await;
}

async fn break_everything_in_turn(own: &OwnStack, shop: &Shop) {
    own.kill_kafka().await;
    more_are_accepted(shop, 50).await;
    own.start_kafka().await;
    shop.flows(ORDER).await;

    own.kill_postgres().await;
    somebody_is_refused(shop).await;
    own.start_postgres().await;
    shop.flows(ORDER).await;

    own.pause_kafka();
    // Longer than the members' sessions.
    more_are_accepted(shop, 600).await;
    own.continue_kafka();
    shop.flows(ORDER).await;

    own.pause_postgres();
    somebody_is_refused(shop).await;
    own.continue_postgres();
    shop.flows(ORDER).await;
}

#[tokio::test]
async fn services_wait_for_broker_topics_and_databases_and_outlive_their_outages() {
    let own = exclusive().await;
    own.kill_kafka().await;
    own.kill_postgres().await;
    let shop = Shop::on(&own);
    for who in ONE_EACH {
        shop.start(who, &[]).await;
    }
    for who in ONE_EACH {
        is_not_ready(&shop, who).await;
    }
    own.start_postgres().await;
    own.start_kafka().await;
    shop.furnish().await;
    shop.ready(&ONE_EACH).await;
    shop.restock(PRODUCT, 300).await;
    shop.flows(ORDER).await;

    let stop = AtomicBool::new(false);
    let outages = async {
        break_everything_in_turn(&own, &shop).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(place_until(&shop, &stop), outages);
    shop.is_sound(&told_again()).await;
}

/// It lives, and says that it cannot work yet.
async fn is_not_ready(shop: &Shop, who: Instance) {
    let health = |kind| shop.http.get(format!("{}/health/{kind}", shop.url(who)));
    eventually(DEADLINE, &format!("{who} lives"), async || {
        let answer = health("live").send().await;
        answer.and_then(|answer| answer.error_for_status())
    })
    .await;
    let answer = health("ready").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{who}");
}

/// The instance of order-service that relays, and the other.
async fn leader(shop: &Shop) -> (Instance, Instance) {
    eventually(DEADLINE, "one instance relays", async || {
        let leads = async |who| shop.metric(who, "outbox_relay_leads").await == Some(1.0);
        match (leads(ORDER).await, leads(ORDER_2).await) {
            (true, false) => Ok((ORDER, ORDER_2)),
            (false, true) => Ok((ORDER_2, ORDER)),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn a_frozen_relay_is_replaced_and_may_come_back() {
    let shop = Shop::open("frozen_relay").await;
    shop.run(&[ORDER, ORDER_2, PAYMENT, INVENTORY]).await;
    shop.restock(PRODUCT, 300).await;
    let (leader, other) = leader(&shop).await;

    let through_leader = Request::mixed(40);
    let at = [leader];
    let placing = through_leader
        .iter()
        .map(|request| shop.place_at(&at, request));
    let freezing = async {
        more_are_accepted(&shop, 1).await;
        shop.freeze(leader);
        // Its database session ends after 5 s of silence, and its lock with it.
        shop.flows(other).await;
        assert_eq!(shop.metric(other, "outbox_relay_leads").await, Some(1.0));
        shop.thaw(leader);
    };
    tokio::join!(join_all(placing), freezing);
    shop.place_all(&Request::mixed(40), 8).await;
    shop.is_sound(&told_again()).await;
}

#[tokio::test]
async fn a_frozen_member_with_row_locks_does_not_stop_the_other() {
    let shop = Shop::open("frozen_member").await;
    shop.run(&[ORDER, PAYMENT, INVENTORY, INVENTORY_2]).await;
    shop.restock(PRODUCT, 300).await;
    both_own_partitions(&shop).await;

    let url = shop.server.admin_url(&shop.inventory_db);
    let mut ours = PgConnection::connect(&url).await.unwrap();
    let mut lock = ours.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM products WHERE product_id = $1 FOR NO KEY UPDATE")
        .bind(PRODUCT)
        .execute(&mut *lock)
        .await
        .unwrap();
    shop.place_all(&Request::mixed(40), 8).await;
    // Fresh, so that it still waits when it is frozen: it gives up after 3 s.
    let waits = "wait_event_type = 'Lock' AND now() - query_start < interval '1 s'";
    session_of(&shop, INVENTORY, waits).await;
    shop.freeze(INVENTORY);
    // Now the lock is given to a process that does nothing with it.
    lock.commit().await.unwrap();
    session_of(&shop, INVENTORY, "state = 'idle in transaction'").await;

    for _ in 0..4 {
        shop.flows(ORDER).await;
    }
    shop.thaw(INVENTORY);
    shop.place_all(&Request::mixed(8), 8).await;
    shop.is_sound(&Allowed::default()).await;
}

async fn both_own_partitions(shop: &Shop) {
    let group = shop.kafka.name_prefix.group(Service::Inventory);
    eventually(DEADLINE, "both members own partitions", async || {
        let group = shop.cluster.group(&group).await.unwrap();
        let owners = group.members.iter().filter(|one| !one.owns.is_empty());
        if owners.count() == 2 {
            Ok(())
        } else {
            Err(format!("{group:?}"))
        }
    })
    .await;
}

/// Waits until PostgreSQL shows a session of this instance in this state.
async fn session_of(shop: &Shop, who: Instance, state: &str) {
    let sessions = format!(
        "SELECT state, wait_event_type, now() - query_start FROM pg_stat_activity
         WHERE datname = '{}' AND application_name = '{who}'",
        shop.inventory_db
    );
    eventually(DEADLINE, &format!("a session with {state}"), async || {
        let wanted = format!("{sessions} AND {state}");
        if shop.sql("postgres", &wanted).await?.is_empty() {
            Err(shop.sql("postgres", &sessions).await?)
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
async fn twenty_equal_requests_at_once_over_two_instances_are_one_order() {
    let shop = Shop::open("equal").await;
    shop.run(&[ORDER, ORDER_2, PAYMENT, INVENTORY]).await;
    shop.restock(PRODUCT, 300).await;
    for _ in 0..5 {
        let request = Request::new(PRODUCT, 1, "20.50");
        let twenty = [[ORDER], [ORDER_2]].into_iter().cycle().take(20);
        let twenty: Vec<_> = twenty.collect();
        let placed = join_all(twenty.iter().map(|at| shop.place_at(at, &request))).await;
        let orders: BTreeSet<_> = placed.iter().map(|one| one.order_id).collect();
        let first = placed.iter().filter(|one| !one.repeated);
        assert_eq!((orders.len(), first.count()), (1, 1), "{placed:?}");
    }
    shop.is_sound(&Allowed::default()).await;
}

#[tokio::test]
async fn a_service_that_is_asked_to_end_finishes_its_work_first() {
    let shop = Shop::open("drained").await;
    shop.run(&ONE_EACH).await;
    shop.restock(PRODUCT, 300).await;
    let stop = AtomicBool::new(false);
    let endings = async {
        for who in ONE_EACH {
            more_are_accepted(&shop, 20).await;
            shop.terminate(who).await;
            shop.start(who, &[]).await;
            shop.ready(&[who]).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(place_until(&shop, &stop), endings);
    // Nothing is told again: what was published was also taken out of the outbox.
    shop.is_sound(&Allowed::default()).await;
    // No order was made whose answer was then lost.
    let placed = shop.evidence().await.placed;
    assert!(placed.iter().all(|one| !one.repeated), "{placed:?}");
}

/// After commits, an abort, a crash and a restart of each consuming service.
#[tokio::test]
async fn kafkas_own_tool_sees_no_lag_at_rest() {
    let shop = Shop::open("tool").await;
    let shop = shop.with("STATIC_MEMBERSHIP", "true");
    let fatal = [
        ("SANDBOX_UNSAFE", "1"),
        ("CRASH_AT", CrashPoint::OffsetsAdded.name()),
    ];
    shop.start(ORDER, &[]).await;
    for who in [PAYMENT, INVENTORY] {
        shop.start(who, &fatal).await;
    }
    shop.ready(&[ORDER]).await;
    shop.place_all(&Request::mixed(16), 4).await;
    for who in [PAYMENT, INVENTORY] {
        shop.crashed(who).await;
        shop.start(who, &[]).await;
    }
    shop.terminate(ORDER).await;
    shop.start(ORDER, &[]).await;
    shop.at_rest().await;
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = Sources {
        dist: checkout.join(".sandbox/dist"),
        kafka_home: std::env::var_os("KAFKA_HOME").map(Into::into),
        pg_bin: std::env::var_os("PG_BIN").map(Into::into),
    };
    let prefix = &shop.kafka.name_prefix;
    let groups = Service::ALL.map(|service| prefix.group(service));
    let mut arguments = vec!["--describe".into()];
    for group in &groups {
        arguments.extend(["--group".into(), group.into()]);
    }
    let installation = sources.installed().unwrap();
    let bootstrap = &shop.kafka.bootstrap_servers;
    let tool = kafka_tools::command(&installation, bootstrap, "consumer-groups", &arguments);
    let output = tool.unwrap().output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let lags = lags(&output);
    // Three partitions of each topic that each of the groups reads.
    let partitions: usize = Service::ALL
        .map(|service| 3 * service.consumes().len())
        .iter()
        .sum();
    assert_eq!(lags.len(), partitions, "{output}");
    assert!(lags.iter().all(|lag| lag == "0" || lag == "-"), "{output}");
    assert!(
        lags.iter().filter(|lag| *lag == "0").count() >= groups.len(),
        "{output}"
    );
    let orders = prefix.topic(Topic::Orders);
    assert!(output.contains(&orders), "{output}");
}

/// The column `LAG`, by its place under the heading.
fn lags(output: &str) -> Vec<String> {
    let mut column = None;
    let mut lags = Vec::new();
    for line in output.lines() {
        let cells: Vec<_> = line.split_whitespace().collect();
        if let Some(place) = cells.iter().position(|cell| *cell == "LAG") {
            column = Some(place);
        } else if let Some(lag) = column.and_then(|place| cells.get(place)) {
            lags.push((*lag).to_owned());
        }
    }
    lags
}
