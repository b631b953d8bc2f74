//! The data that the page shows.

use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::eventually;

use crate::browser::Browser;
use crate::start_monitor;
use crate::test_monitor::DEADLINE;

const LAG: &str = "/lag?group=inventory-service-group&topic=payments";

/// The timestamp, the title and badge of the details, the rows of both tables, the text of the
/// chart, and the cards.
const DETAIL: &str = r##"
  const rows = (caption) => [...document.querySelectorAll("#detail table")]
    .filter((table) => table.caption.textContent.startsWith(caption))
    .flatMap((table) => [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())));
  return {
    timestamp: document.body.dataset.timestamp,
    title: document.querySelector("#detail-title")?.textContent ?? "",
    status: document.querySelector("#detail .badge")?.dataset.status,
    partitions: rows("Partitions"),
    members: rows("Members"),
    chart: document.querySelector("#detail svg.large")?.getAttribute("aria-label"),
    cards: [...document.querySelectorAll(".card")].map((card) => [card.querySelector("h3").textContent, card.querySelector(".lag").textContent]),
  };"##;

#[tokio::test]
async fn the_page_shows_the_same_data_as_the_lag_route() {
    let monitor = start_monitor("shown").await;
    let group = "inventory-service-group";
    for partition in 0..3 {
        monitor.commit(group, Topic::Payments, partition, 0).await;
    }
    let member = monitor.member();
    member.controls().pause();
    for (partition, count) in [(0, 3), (1, 200), (2, 1_050)] {
        monitor.publish(Topic::Payments, partition, count).await;
    }
    monitor
        .until("all partitions have a lag and an owner", LAG, |_, body| {
            body["total_lag"] == 1_253 && body["partitions"]["2"]["owner"].is_object()
        })
        .await;
    let browser = Browser::open(&monitor.url).await;
    let title = format!("{} on {}", monitor.name(group), monitor.name("payments"));
    browser.until_text(&title).await;
    browser
        .until(
            "the group has a card",
            &format!("return {SELECT}({})", json!(title)),
        )
        .await;
    let (shown, lag, groups) = eventually(
        DEADLINE,
        "page and routes show the same snapshot",
        async || {
            let lag = monitor.get(LAG).await.1;
            let shown = browser.run(DETAIL).await;
            let groups = monitor.get("/groups").await.1;
            let is_same =
                shown["timestamp"] == lag["timestamp"] && lag["timestamp"] == groups["timestamp"];
            // A member that has just rejoined owns no partition.
            let mut rows = lag["partitions"].as_object().into_iter().flatten();
            let owned = rows.all(|(_, row)| row["owner"].is_object());
            if is_same && owned && shown["title"] == title.as_str() {
                Ok((shown, lag, groups))
            } else {
                Err(format!("{shown} {lag}"))
            }
        },
    )
    .await;

    assert_eq!(shown["status"], lag["status"]);
    let plain = |number: &Value| number.to_string();
    let rows = shown["partitions"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "{shown}");
    for row in rows {
        let partition = &lag["partitions"][row[0].as_str().unwrap()];
        let cell = |n: usize| row[n].as_str().unwrap().replace(',', "");
        assert_eq!(cell(1), plain(&partition["lag"]), "{row} {partition}");
        assert_eq!(cell(3), plain(&partition["committed_offset"]), "{row}");
        assert_eq!(cell(4), plain(&partition["end_offset"]), "{row}");
        assert_eq!(row[5], partition["owner"]["client_id"], "{row}");
    }
    let mine = groups["groups"].as_array().unwrap().iter();
    let mine = mine
        .clone()
        .find(|one| one["group_id"] == monitor.name(group).as_str())
        .unwrap();
    assert_eq!(shown["members"][0][0], mine["members"][0]["client_id"]);
    assert_eq!(
        shown["members"][0][2],
        format!("{}: 0, 1, 2", monitor.name("payments"))
    );
    let cards = shown["cards"].as_array().unwrap();
    assert!(cards.contains(&json!([title, "1,253"])), "{cards:?}");
    let chart = shown["chart"].as_str().unwrap();
    assert!(chart.contains("partition 2 1,050"), "{chart}");
    browser.close().await;
    member.stopper()();
    member.ended().await.unwrap();
    monitor.stop().await;
}

/// Selects the card with this title. Returns whether the card exists.
const SELECT: &str = r#"((title) => {
  const all = [...document.querySelectorAll(".select")];
  const found = all.find((button) => button.textContent === title);
  found?.click();
  return Boolean(found);
})"#;

#[tokio::test]
async fn the_charts_start_with_polls_from_before_the_page_was_opened() {
    let monitor = start_monitor("before").await;
    monitor.commit("watched", Topic::Payments, 0, 0).await;
    monitor.publish(Topic::Payments, 0, 5).await;
    let path = "/lag/history?group=watched&topic=payments";
    monitor
        .until("there are eight samples", path, |_, body| {
            body["count"].as_u64() >= Some(8)
        })
        .await;
    let browser = Browser::open(&monitor.url).await;
    // The time at which the line starts: the chart is five minutes wide, with a margin of two
    // pixels at each edge.
    let script = format!(
        r#"const card = [...document.querySelectorAll(".card")].find((one) => one.querySelector("h3").textContent.startsWith({}));
        const path = card?.querySelector("path.line-style-0")?.getAttribute("d");
        if (!path) return null;
        const width = card.querySelector("svg").viewBox.baseVal.width - 4;
        const starts = Date.parse(document.body.dataset.timestamp) - 300_000 * (1 - (parseFloat(path.slice(1)) - 2) / width);
        return [starts - performance.timeOrigin, path]"#,
        json!(monitor.name("watched"))
    );
    let line = browser.until("the line is drawn", &script).await;
    let starts = line[0].as_f64().unwrap();
    assert!(starts < -5_000.0, "{starts} ms after the page: {line}");
    assert!(!line[1].as_str().unwrap().contains("NaN"), "{line}");
    browser.close().await;
    monitor.stop().await;
}

#[tokio::test]
async fn a_name_that_is_html_is_shown_as_text() {
    let monitor = start_monitor("html").await;
    let name = monitor.name("<img src=x onerror=alert(1)>");
    let browser = Browser::open(&monitor.url).await;
    // The first poll raises an alert for each group with a bad status: more than the page lists.
    browser.until_text("live · read at").await;
    let broker = &monitor.kafka.bootstrap_servers;
    // In this order the lag is four at the first poll of the group, and in its alert.
    monitor.publish(Topic::Payments, 0, 4).await;
    crate::kafka_wire::commit(broker, &name, &monitor.name("payments"), 0, 0).await;
    browser.until_text(&name).await;
    browser
        .until(
            "the card can be selected",
            &format!(
                "return {SELECT}({})",
                json!(format!("{name} on {}", monitor.name("payments")))
            ),
        )
        .await;
    browser
        .until(
            "the details have the name",
            &format!(
                "return document.querySelector('#detail-title').textContent.startsWith({})",
                json!(name)
            ),
        )
        .await;
    browser
        .until_text(&format!(
            "{name} on {}: 4 records wait",
            monitor.name("payments")
        ))
        .await;
    assert_eq!(browser.run("return document.images.length").await, 0);
    browser.close().await;
    monitor.stop().await;
}
