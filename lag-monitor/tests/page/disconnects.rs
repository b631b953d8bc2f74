//! The monitor or the broker stops and starts again, and streams that are refused.

use reqwest::Url;
use shared_events::Topic;
use test_stack::{dedicated, eventually};

use crate::browser::Browser;
use crate::test_monitor::{DEADLINE, TestMonitor};
use crate::{dedicated_broker, start_monitor};

const GREY: &str =
    "return getComputedStyle(document.querySelector('#cards')).filter.includes('grayscale')";
const NOT_GREY: &str =
    "return !getComputedStyle(document.querySelector('#cards')).filter.includes('grayscale')";

#[tokio::test]
async fn the_page_shows_how_long_the_monitor_is_down_and_reconnects() {
    let monitor = start_monitor("restart").await;
    monitor.commit("watched", Topic::Payments, 0, 0).await;
    let browser = Browser::open(&monitor.url).await;
    browser.until_text("live · read at").await;
    browser
        .until_text(&format!("{} on", monitor.name("watched")))
        .await;
    let port = monitor.url.parse::<Url>().unwrap().port().unwrap();
    monitor.stop().await;
    browser.until_text("monitor not reachable since").await;
    browser.until("the cards are grey", GREY).await;
    // After this time more than one attempt has failed.
    let late = r"return /data is ([4-9]|\d{2,}) s old/.test(document.body.innerText)";
    browser.until("the age of the data is shown", late).await;
    let monitor = TestMonitor::with(
        &dedicated_broker().await,
        "restart-",
        &[&format!("--port={port}")],
    )
    .await;
    browser.until_text("live · read at").await;
    browser.until("the cards are coloured", NOT_GREY).await;
    monitor.publish(Topic::Payments, 0, 33).await;
    browser.until("new data is shown", "return [...document.querySelectorAll('.card .lag')].some((lag) => lag.textContent === '33')").await;
    browser.close_after_network_errors().await;
    monitor.stop().await;
}

#[tokio::test]
async fn without_a_broker_the_page_shows_the_data_age_and_a_gap() {
    let stack = dedicated().await;
    let monitor = TestMonitor::on(&stack.bootstrap(), "blind-").await;
    monitor.commit("watched", Topic::Payments, 0, 0).await;
    monitor.publish(Topic::Payments, 0, 7).await;
    let browser = Browser::open(&monitor.url).await;
    let seven = "return [...document.querySelectorAll('.card .lag')].some((lag) => lag.textContent === '7')";
    browser.until("the lag is seven", seven).await;
    stack.stop_kafka().await;
    browser
        .until_text("the monitor cannot read Kafka now; data is")
        .await;
    browser.until("the cards are grey", GREY).await;
    assert_eq!(
        browser.run(seven).await,
        true,
        "the last data stays readable"
    );
    let gap = "return document.querySelectorAll('.card .gaps rect').length > 0";
    browser.until("the chart shows the gap", gap).await;
    stack.start_kafka().await;
    browser.until_text("live · read at").await;
    browser.until("the gap stays", gap).await;
    let broken = "return [...document.querySelectorAll('.card path.line-style-0')].some((path) => path.getAttribute('d').split('M').length > 2)";
    browser.until("the line is interrupted", broken).await;
    browser.close_after_network_errors().await;
    monitor.stop().await;
}

#[tokio::test]
async fn a_page_without_a_stream_says_why_and_tries_again() {
    let monitor = start_monitor("full").await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(monitor.stream().await);
    }
    let browser = Browser::open(&monitor.url).await;
    browser.until_text("32 streams are open").await;
    browser.until_text("there is no data yet").await;
    streams.clear();
    browser.until_text("live · read at").await;
    browser.close_after_network_errors().await;
    monitor.stop().await;
}

#[tokio::test]
async fn more_tabs_than_connections_are_each_live_when_visible() {
    let monitor = start_monitor("tabs").await;
    let browser = Browser::open(&monitor.url).await;
    // A browser has six connections to a server, and each stream needs one.
    for _ in 0..8 {
        browser.until_text("live · read at").await;
        browser.open_tab(&monitor.url).await;
    }
    browser.until_text("live · read at").await;
    monitor.commit("watched", Topic::Payments, 0, 0).await;
    browser.switch_to_first_tab().await;
    browser
        .until_text(&format!("{} on", monitor.name("watched")))
        .await;
    browser.close().await;
    monitor.stop().await;
}

#[tokio::test]
async fn an_error_while_drawing_does_not_end_the_stream() {
    let monitor = start_monitor("drawing").await;
    let browser = Browser::open(&monitor.url).await;
    browser.until_text("live · read at").await;
    browser
        .run("document.querySelector('#summary').id = 'renamed'")
        .await;
    eventually(DEADLINE, "the console has the error", async || {
        let console = browser.console().await.to_string();
        match console.contains("TypeError") {
            true => Ok(()),
            false => Err(console),
        }
    })
    .await;
    let text = browser.text().await;
    assert!(!text.contains("monitor not reachable"), "{text}");
    // With the element back, the page is drawn again.
    browser
        .run("document.querySelector('#renamed').id = 'summary'")
        .await;
    monitor.commit("watched", Topic::Payments, 0, 0).await;
    browser
        .until_text(&format!("{} on", monitor.name("watched")))
        .await;
    browser.console().await;
    browser.close().await;
    monitor.stop().await;
}
