//! The monitor, or the broker, goes away and comes back.

use reqwest::Url;
use shared_events::Topic;
use test_stack::{eventually, exclusive};

use crate::browser::Browser;
use crate::support::{DEADLINE, Lab};
use crate::{broker, lab};

const GREY: &str =
    "return getComputedStyle(document.querySelector('#cards')).filter.includes('grayscale')";
const NOT_GREY: &str =
    "return !getComputedStyle(document.querySelector('#cards')).filter.includes('grayscale')";

#[tokio::test]
async fn the_page_says_since_when_the_monitor_is_away_and_goes_on_when_it_is_back() {
    let lab = lab("restart").await;
    lab.commit("watched", Topic::Payments, 0, 0).await;
    let browser = Browser::open(&lab.url).await;
    browser.until_text("live · read at").await;
    browser
        .until_text(&format!("{} on", lab.name("watched")))
        .await;
    let port = lab.url.parse::<Url>().unwrap().port().unwrap();
    lab.stop().await;
    browser.until_text("monitor not reachable since").await;
    browser.until("what is shown is grey", GREY).await;
    // Until more than one attempt has failed.
    let late = r"return /data is ([4-9]|\d{2,}) s old/.test(document.body.innerText)";
    browser.until("it says how old its figures are", late).await;
    let lab = Lab::with(&broker().await, "restart-", &[&format!("--port={port}")]).await;
    browser.until_text("live · read at").await;
    browser.until("the colours are back", NOT_GREY).await;
    lab.publish(Topic::Payments, 0, 33).await;
    browser.until("it goes on", "return [...document.querySelectorAll('.card .lag')].some((lag) => lag.textContent === '33')").await;
    browser.close(true).await;
    lab.stop().await;
}

#[tokio::test]
async fn without_a_broker_the_page_says_how_old_its_figures_are_and_leaves_a_gap() {
    let stack = exclusive().await;
    let lab = Lab::on(&stack.bootstrap(), "blind-").await;
    lab.commit("watched", Topic::Payments, 0, 0).await;
    lab.publish(Topic::Payments, 0, 7).await;
    let browser = Browser::open(&lab.url).await;
    let seven = "return [...document.querySelectorAll('.card .lag')].some((lag) => lag.textContent === '7')";
    browser.until("seven wait", seven).await;
    stack.stop_kafka().await;
    browser
        .until_text("the monitor cannot read Kafka now; data is")
        .await;
    browser.until("what is shown is grey", GREY).await;
    assert_eq!(
        browser.run(seven).await,
        true,
        "the last figures stay to be read"
    );
    let gap = "return document.querySelectorAll('.card .blind rect').length > 0";
    browser
        .until("the time without a reading is seen", gap)
        .await;
    stack.start_kafka().await;
    browser.until_text("live · read at").await;
    browser.until("the gap stays", gap).await;
    let broken = "return [...document.querySelectorAll('.card path.look-0')].some((path) => path.getAttribute('d').split('M').length > 2)";
    browser
        .until("the line is broken, not drawn on", broken)
        .await;
    browser.close(true).await;
    lab.stop().await;
}

#[tokio::test]
async fn a_page_that_gets_no_stream_says_why_and_gets_one_when_there_is_one() {
    let lab = lab("full").await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(lab.stream().await);
    }
    let browser = Browser::open(&lab.url).await;
    browser.until_text("32 streams are open").await;
    browser.until_text("there are no figures yet").await;
    streams.clear();
    browser.until_text("live · read at").await;
    browser.close(true).await;
    lab.stop().await;
}

#[tokio::test]
async fn more_tabs_than_a_browser_has_connections_are_all_live_when_they_are_looked_at() {
    let lab = lab("tabs").await;
    let browser = Browser::open(&lab.url).await;
    // Six connections to one server, and a stream needs one.
    for _ in 0..8 {
        browser.until_text("live · read at").await;
        browser.open_another(&lab.url).await;
    }
    browser.until_text("live · read at").await;
    lab.commit("watched", Topic::Payments, 0, 0).await;
    browser.show_first().await;
    browser
        .until_text(&format!("{} on", lab.name("watched")))
        .await;
    browser.close(false).await;
    lab.stop().await;
}

#[tokio::test]
async fn an_error_of_drawing_is_told_to_the_console_and_is_not_taken_for_an_absent_monitor() {
    let lab = lab("drawing").await;
    let browser = Browser::open(&lab.url).await;
    browser.until_text("live · read at").await;
    browser
        .run("document.querySelector('#verdict').id = 'mislaid'")
        .await;
    eventually(DEADLINE, "the console has it", async || {
        let log = browser.log().await.to_string();
        match log.contains("TypeError") {
            true => Ok(()),
            false => Err(log),
        }
    })
    .await;
    let text = browser.text().await;
    assert!(!text.contains("monitor not reachable"), "{text}");
    // What can be drawn again is drawn again.
    browser
        .run("document.querySelector('#mislaid').id = 'verdict'")
        .await;
    lab.commit("watched", Topic::Payments, 0, 0).await;
    browser
        .until_text(&format!("{} on", lab.name("watched")))
        .await;
    browser.log().await;
    browser.close(false).await;
    lab.stop().await;
}
