//! Sliders, buttons and the burst form.

use std::net::TcpListener;

use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::eventually;

use crate::browser::Browser;
use crate::child_program::ChildProgram;
use crate::test_monitor::{DEADLINE, TestMonitor};
use crate::{dedicated_broker, start_monitor};

const CONTROLS: &str = "/services/inventory-service/controls";

/// The keys Enter and right arrow in WebDriver's encoding.
const ENTER: &str = "\u{e007}";
const RIGHT: &str = "\u{e014}";

async fn until_controls_are(monitor: &TestMonitor, controls: Value) {
    monitor
        .until(&controls.to_string(), CONTROLS, |_, body| {
            body["controls"] == controls
        })
        .await;
}

#[tokio::test]
async fn sliders_and_buttons_set_the_group_controls_by_key_and_mouse() {
    let monitor = start_monitor("sliders").await;
    let browser = Browser::open(&monitor.url).await;
    browser.until_text("no group settings").await;
    browser.keys("#inventory-service-time", RIGHT).await;
    until_controls_are(&monitor, json!({"processing_time_ms": 10, "batch_max": 1})).await;
    browser.until_text("set for the group").await;
    // The batch size that the time implies is shown. Another batch size does not change the time.
    let size = "return document.querySelector('#inventory-service-size').ariaValueText === '1'";
    browser.until("the batch size is shown", size).await;
    browser.keys("#inventory-service-size", RIGHT).await;
    until_controls_are(&monitor, json!({"processing_time_ms": 10, "batch_max": 2})).await;
    browser
        .click("[aria-label='Pause inventory-service']")
        .await;
    until_controls_are(
        &monitor,
        json!({"processing_time_ms": 10, "batch_max": 2, "paused": true}),
    )
    .await;
    browser.until_text("paused").await;
    // A change of the processing time does not resume a paused group.
    browser.keys("#inventory-service-time", RIGHT).await;
    until_controls_are(
        &monitor,
        json!({"processing_time_ms": 20, "batch_max": 1, "paused": true}),
    )
    .await;
    browser
        .keys("[aria-label='Resume inventory-service']", ENTER)
        .await;
    until_controls_are(
        &monitor,
        json!({"processing_time_ms": 20, "batch_max": 1, "paused": false}),
    )
    .await;
    browser
        .click("[aria-label='Clear inventory-service']")
        .await;
    until_controls_are(&monitor, json!(null)).await;
    assert_eq!(
        monitor.get("/services/payment-service/controls").await.1["controls"],
        json!(null)
    );
    browser.close().await;
    monitor.stop().await;
}

/// load-generator from the build of this test.
fn load_generator(monitor: &TestMonitor, port: u16) -> ChildProgram {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("load-generator");
    assert!(
        program.is_file(),
        "{} is missing: cargo build --release --workspace --bins",
        program.display()
    );
    let variables = [
        ("PORT", &port.to_string()),
        ("KAFKA_BOOTSTRAP_SERVERS", &monitor.kafka.bootstrap_servers),
        ("NAME_PREFIX", &monitor.kafka.name_prefix.to_string()),
    ];
    let variables = variables.map(|(name, value)| (name, value.as_str()));
    ChildProgram::start(program.to_str().unwrap(), &["serve"], &variables)
}

#[tokio::test]
async fn the_burst_button_sends_orders_and_shows_the_result() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("--load-generator-url=http://127.0.0.1:{port}");
    let monitor =
        TestMonitor::with(&dedicated_broker().await, "button-", &["--port=0", &url]).await;
    monitor.commit("watched", Topic::Orders, 0, 0).await;
    let browser = Browser::open(&monitor.url).await;
    browser
        .until_text(&format!("{} on", monitor.name("watched")))
        .await;
    browser.click("#burst button").await;
    browser
        .until_text("Burst failed: load-generator cannot be reached")
        .await;

    let _generator = load_generator(&monitor, port);
    eventually(DEADLINE, "load-generator is ready", async || {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/health/ready")).await;
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    browser
        .run("document.querySelector('#burst-count').value = 70")
        .await;
    browser.keys("#burst-count", ENTER).await;
    browser.until_text("70 of 70 orders created in").await;
    let lag = monitor.until(
        "the orders arrive",
        "/lag?group=watched&topic=orders",
        |_, body| body["partitions"]["0"]["end_offset"].as_i64() > Some(0),
    );
    let lag = lag.await["partitions"]["0"]["lag"].clone();
    assert!(lag.as_i64() > Some(0), "{lag}");
    browser.close_after_network_errors().await;
    monitor.stop().await;
}

/// Records every announcement, since each replaces the text of the one before.
const RECORD_ANNOUNCEMENTS: &str = r#"
  window.announced = [];
  const node = document.querySelector('#announcer');
  new MutationObserver(() => window.announced.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });"#;

#[tokio::test]
async fn alerts_appear_live_and_a_button_clears_them() {
    let monitor = start_monitor("alerts").await;
    let browser = Browser::open(&monitor.url).await;
    browser.until_text("live · read at").await;
    browser.run(RECORD_ANNOUNCEMENTS).await;
    monitor.commit("watched", Topic::Payments, 0, 0).await;
    let pair = format!(
        "{} on {}",
        monitor.name("watched"),
        monitor.name("payments")
    );
    browser.until_text(&pair).await;
    monitor.publish(Topic::Payments, 0, 4).await;
    // The poll that raises the alert may have seen fewer than four records.
    let listed = format!(
        "return [...document.querySelectorAll('#alerts li')].map((line) => line.textContent)
           .some((text) => text.includes({}) && text.includes('records wait and the group has no member'))",
        json!(format!("{pair}: "))
    );
    browser.until("the alert is listed", &listed).await;
    let announced = |status: &str| {
        let text = json!(format!("{pair} is {status}"));
        format!("return window.announced.some((one) => one.includes({text}))")
    };
    browser
        .until("the status critical is announced", &announced("critical"))
        .await;
    monitor.commit("watched", Topic::Payments, 0, 4).await;
    browser
        .until("the status ok is announced", &announced("ok"))
        .await;
    browser.click("#clear-alerts").await;
    browser.until_text("No alerts").await;
    browser.close().await;
    monitor.stop().await;
}

/// The name of the group in the details.
const SHOWN: &str = "return document.querySelector('#detail-title').textContent";

#[tokio::test]
async fn a_selected_group_that_disappears_is_not_replaced_for_good() {
    let monitor = start_monitor("selected").await;
    let title = |group: &str| format!("{} on {}", monitor.name(group), monitor.name("payments"));
    monitor.commit("chosen", Topic::Payments, 0, 0).await;
    let browser = Browser::open(&monitor.url).await;
    browser.until_text(&title("chosen")).await;
    let select = format!(
        "const all = [...document.querySelectorAll('.select')];
         const found = all.find((one) => one.textContent === {});
         found?.click();
         return Boolean(found);",
        json!(title("chosen"))
    );
    browser.until("the card is selected", &select).await;
    let is_shown = |group: &str| format!("{SHOWN} === {}", json!(title(group)));
    browser.until("it is shown", &is_shown("chosen")).await;

    let names = [monitor.name("chosen")];
    monitor
        .cluster
        .delete_groups(&names, DEADLINE)
        .await
        .unwrap();
    let other = format!("{SHOWN} !== {}", json!(title("chosen")));
    browser.until("another group is shown", &other).await;
    // The user's choice is there again.
    monitor.commit("chosen", Topic::Payments, 0, 0).await;
    browser
        .until("it is shown again", &is_shown("chosen"))
        .await;
    browser.close().await;
    monitor.stop().await;
}
