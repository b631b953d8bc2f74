//! What can be done on the page.

use std::net::TcpListener;

use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::eventually;

use crate::browser::Browser;
use crate::kept::Kept;
use crate::support::{DEADLINE, Lab};
use crate::{broker, lab};

const CONTROLS: &str = "/services/inventory-service/controls";

/// The keys Tab, Enter and the arrow to the right, as WebDriver writes them.
const ENTER: &str = "\u{e007}";
const RIGHT: &str = "\u{e014}";

async fn until_told(lab: &Lab, controls: Value) {
    lab.until(&controls.to_string(), CONTROLS, |_, body| {
        body["controls"] == controls
    })
    .await;
}

#[tokio::test]
async fn sliders_and_buttons_tell_the_members_of_a_group_by_keyboard_and_by_mouse() {
    let lab = lab("sliders").await;
    let browser = Browser::open(&lab.url).await;
    browser.until_text("as it was started").await;
    browser.keys("#inventory-service-time", RIGHT).await;
    until_told(&lab, json!({"processing_time_ms": 10, "batch_max": 1})).await;
    browser.until_text("told by its group").await;
    // The batch size that came with the time is shown, and another one leaves the time as it is.
    let size = "return document.querySelector('#inventory-service-size').ariaValueText === '1'";
    browser.until("the batch size is shown", size).await;
    browser.keys("#inventory-service-size", RIGHT).await;
    until_told(&lab, json!({"processing_time_ms": 10, "batch_max": 2})).await;
    browser
        .click("[aria-label='Pause inventory-service']")
        .await;
    until_told(
        &lab,
        json!({"processing_time_ms": 10, "batch_max": 2, "paused": true}),
    )
    .await;
    browser.until_text("paused").await;
    // Who makes a paused group faster does not resume it.
    browser.keys("#inventory-service-time", RIGHT).await;
    until_told(
        &lab,
        json!({"processing_time_ms": 20, "batch_max": 1, "paused": true}),
    )
    .await;
    browser
        .keys("[aria-label='Resume inventory-service']", ENTER)
        .await;
    until_told(
        &lab,
        json!({"processing_time_ms": 20, "batch_max": 1, "paused": false}),
    )
    .await;
    browser
        .click("[aria-label='Clear inventory-service']")
        .await;
    until_told(&lab, json!(null)).await;
    assert_eq!(
        lab.get("/services/payment-service/controls").await.1["controls"],
        json!(null)
    );
    browser.close(false).await;
    lab.stop().await;
}

/// load-generator as it was built beside this test.
fn load_generator(lab: &Lab, port: u16) -> Kept {
    let here = std::env::current_exe().unwrap();
    let program = here.ancestors().nth(2).unwrap().join("load-generator");
    assert!(
        program.is_file(),
        "{} is not there: cargo build --release --workspace --bins",
        program.display()
    );
    let variables = [
        ("PORT", &port.to_string()),
        ("KAFKA_BOOTSTRAP_SERVERS", &lab.kafka.bootstrap_servers),
        ("NAME_PREFIX", &lab.kafka.name_prefix.to_string()),
    ];
    let variables = variables.map(|(name, value)| (name, value.as_str()));
    Kept::start(program.to_str().unwrap(), &["serve"], &variables)
}

#[tokio::test]
async fn the_burst_button_makes_orders_arrive_and_says_what_came_of_it() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("--load-generator-url=http://127.0.0.1:{port}");
    let lab = Lab::with(&broker().await, "button-", &["--port=0", &url]).await;
    lab.commit("watched", Topic::Orders, 0, 0).await;
    let browser = Browser::open(&lab.url).await;
    browser
        .until_text(&format!("{} on", lab.name("watched")))
        .await;
    browser.click("#burst button").await;
    browser
        .until_text("No burst: load-generator cannot be reached")
        .await;

    let _generator = load_generator(&lab, port);
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
    browser.until_text("70 of 70 orders made in").await;
    let ends = lab.until(
        "the orders arrive",
        "/lag?group=watched&topic=orders",
        |_, body| body["partitions"]["0"]["end_offset"].as_i64() > Some(0),
    );
    let waiting = ends.await["partitions"]["0"]["lag"].clone();
    assert!(waiting.as_i64() > Some(0), "{waiting}");
    browser.close(true).await;
    lab.stop().await;
}

/// Keeps what is told to who listens: the next telling takes the place of the one before.
const LISTEN: &str = r#"
  window.told = [];
  const node = document.querySelector('#announcer');
  new MutationObserver(() => window.told.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });"#;

#[tokio::test]
async fn alerts_come_by_themselves_and_go_at_the_press_of_a_button() {
    let lab = lab("alerts").await;
    let browser = Browser::open(&lab.url).await;
    browser.until_text("live · read at").await;
    browser.run(LISTEN).await;
    lab.commit("watched", Topic::Payments, 0, 0).await;
    let pair = format!("{} on {}", lab.name("watched"), lab.name("payments"));
    browser.until_text(&pair).await;
    lab.publish(Topic::Payments, 0, 4).await;
    // The poll that finds it may come between the four.
    let listed = format!(
        "return [...document.querySelectorAll('#alerts li')].map((line) => line.textContent)
           .some((text) => text.includes({}) && text.includes('records wait and the group has no member'))",
        json!(format!("{pair}: "))
    );
    browser.until("the list has it", &listed).await;
    let announced = |words: &str| {
        let words = json!(format!("{pair} is {words}"));
        format!("return window.told.some((told) => told.includes({words}))")
    };
    browser
        .until("who listens is told of it", &announced("critical"))
        .await;
    lab.commit("watched", Topic::Payments, 0, 4).await;
    browser
        .until(
            "who listens is told that it is well again",
            &announced("ok"),
        )
        .await;
    browser.click("#clear-alerts").await;
    browser.until_text("No alerts").await;
    browser.close(false).await;
    lab.stop().await;
}
