//! What the page shows.

use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::eventually;

use crate::browser::Browser;
use crate::lab;
use crate::support::DEADLINE;

const LAG: &str = "/lag?group=inventory-service-group&topic=payments";

/// What the detail shows: when it was read, the rows of both tables, the badge, the legend and the chart in words.
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
async fn what_the_page_shows_is_what_lag_says_of_the_same_moment() {
    let lab = lab("shown").await;
    let group = "inventory-service-group";
    for partition in 0..3 {
        lab.commit(group, Topic::Payments, partition, 0).await;
    }
    let member = lab.member();
    member.controls().pause();
    for (partition, count) in [(0, 3), (1, 200), (2, 1_050)] {
        lab.publish(Topic::Payments, partition, count).await;
    }
    lab.until("all wait and are owned", LAG, |_, body| {
        body["total_lag"] == 1_253 && body["partitions"]["2"]["owner"].is_object()
    })
    .await;
    let browser = Browser::open(&lab.url).await;
    let title = format!("{} on {}", lab.name(group), lab.name("payments"));
    browser.until_text(&title).await;
    browser
        .until(
            "there is a card of it",
            &format!("return {CHOOSE}({})", json!(title)),
        )
        .await;
    let (shown, lag, groups) = eventually(DEADLINE, "both tell of one moment", async || {
        let lag = lab.get(LAG).await.1;
        let shown = browser.run(DETAIL).await;
        let groups = lab.get("/groups").await.1;
        let one = shown["timestamp"] == lag["timestamp"] && lag["timestamp"] == groups["timestamp"];
        // A member that was away for a moment owns nothing.
        let mut rows = lag["partitions"].as_object().into_iter().flatten();
        let owned = rows.all(|(_, row)| row["owner"].is_object());
        if one && owned && shown["title"] == title.as_str() {
            Ok((shown, lag, groups))
        } else {
            Err(format!("{shown} {lag}"))
        }
    })
    .await;

    assert_eq!(shown["status"], lag["status"]);
    let plain = |number: &Value| number.to_string();
    let rows = shown["partitions"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "{shown}");
    for row in rows {
        let partition = &lag["partitions"][row[0].as_str().unwrap()];
        let told = |n: usize| row[n].as_str().unwrap().replace(',', "");
        assert_eq!(told(1), plain(&partition["lag"]), "{row} {partition}");
        assert_eq!(told(3), plain(&partition["committed_offset"]), "{row}");
        assert_eq!(told(4), plain(&partition["end_offset"]), "{row}");
        assert_eq!(row[5], partition["owner"]["client_id"], "{row}");
    }
    let mine = groups["groups"].as_array().unwrap().iter();
    let mine = mine
        .clone()
        .find(|one| one["group_id"] == lab.name(group).as_str())
        .unwrap();
    assert_eq!(shown["members"][0][0], mine["members"][0]["client_id"]);
    assert_eq!(
        shown["members"][0][2],
        format!("{}: 0, 1, 2", lab.name("payments"))
    );
    let cards = shown["cards"].as_array().unwrap();
    assert!(cards.contains(&json!([title, "1,253"])), "{cards:?}");
    let chart = shown["chart"].as_str().unwrap();
    assert!(chart.contains("partition 2 1,050"), "{chart}");
    browser.close(false).await;
    member.stopper()();
    member.ended().await.unwrap();
    lab.stop().await;
}

/// Presses the card of this title, if it is there.
pub const CHOOSE: &str = r#"((title) => {
  const all = [...document.querySelectorAll(".choose")];
  const found = all.find((button) => button.textContent === title);
  found?.click();
  return Boolean(found);
})"#;

#[tokio::test]
async fn the_lines_begin_with_what_the_monitor_knows_of_before() {
    let lab = lab("before").await;
    lab.commit("watched", Topic::Payments, 0, 0).await;
    lab.publish(Topic::Payments, 0, 5).await;
    let path = "/lag/history?group=watched&topic=payments";
    lab.until("there is a past", path, |_, body| {
        body["count"].as_u64() >= Some(8)
    })
    .await;
    let browser = Browser::open(&lab.url).await;
    // When the line begins: from edge to edge are five minutes, and two pixels of room at each.
    let script = format!(
        r#"const card = [...document.querySelectorAll(".card")].find((one) => one.querySelector("h3").textContent.startsWith({}));
        const path = card?.querySelector("path.look-0")?.getAttribute("d");
        if (!path) return null;
        const wide = card.querySelector("svg").viewBox.baseVal.width - 4;
        const begins = Date.parse(document.body.dataset.timestamp) - 300_000 * (1 - (parseFloat(path.slice(1)) - 2) / wide);
        return [begins - performance.timeOrigin, path]"#,
        json!(lab.name("watched"))
    );
    let line = browser.until("the line is there", &script).await;
    let begins = line[0].as_f64().unwrap();
    assert!(begins < -5_000.0, "{begins} ms after the page: {line}");
    assert!(!line[1].as_str().unwrap().contains("NaN"), "{line}");
    browser.close(false).await;
    lab.stop().await;
}

#[tokio::test]
async fn a_name_that_is_html_is_shown_as_text() {
    let lab = lab("html").await;
    let name = lab.name("<img src=x onerror=alert(1)>");
    let browser = Browser::open(&lab.url).await;
    // The alerts that come with the first reading are one for each group in trouble: more than the page shows.
    browser.until_text("live · read at").await;
    let broker = &lab.kafka.bootstrap_servers;
    // In this order all four wait when the group is first seen, and its alert says so.
    lab.publish(Topic::Payments, 0, 4).await;
    crate::wire::commit(broker, &name, &lab.name("payments"), 0, 0).await;
    browser.until_text(&name).await;
    browser
        .until(
            "it can be chosen",
            &format!(
                "return {CHOOSE}({})",
                json!(format!("{name} on {}", lab.name("payments")))
            ),
        )
        .await;
    browser
        .until(
            "the detail names it",
            &format!(
                "return document.querySelector('#detail-title').textContent.startsWith({})",
                json!(name)
            ),
        )
        .await;
    browser
        .until_text(&format!(
            "{name} on {}: 4 records wait",
            lab.name("payments")
        ))
        .await;
    assert_eq!(browser.run("return document.images.length").await, 0);
    browser.close(false).await;
    lab.stop().await;
}
