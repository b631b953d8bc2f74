//! How the page looks, and to whom it can be read.

use serde_json::json;
use shared_events::Topic;

use crate::browser::Browser;
use crate::lab;

/// The texts whose contrast to what is behind them is below 4.5 to 1, the bound of WCAG 2 (AA).
const FAINT: &str = r#"
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((n) => n / 255).map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
  };
  const faint = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.textContent.trim()).join("");
    if (!text || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(node instanceof SVGElement ? style.fill : style.color), light(behind(node))].sort((a, b) => b - a);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faint.push(`${text}: ${contrast.toFixed(2)}`);
  }
  return faint;"#;

/// What somebody who does not see it would miss.
const UNNAMED: &str = r##"
  const missing = [];
  const lacks = (selector, is) => document.querySelectorAll(selector).forEach((node) => is(node) || missing.push(node.outerHTML.slice(0, 120)));
  lacks("input", (node) => node.labels.length === 1 && node.labels[0].textContent.trim());
  lacks("button, a", (node) => node.textContent.trim() || node.ariaLabel);
  lacks("table", (node) => node.caption?.textContent.trim());
  lacks("th", (node) => ["col", "row"].includes(node.scope));
  lacks("svg", (node) => node.ariaHidden === "true" || (node.role === "img" && node.ariaLabel));
  lacks("section", (node) => document.getElementById(node.getAttribute("aria-labelledby")));
  lacks(".badge", (node) => node.lastElementChild.textContent);
  if (document.querySelectorAll("h1").length !== 1) missing.push("h1");
  if (!document.querySelector("[aria-live=polite]")) missing.push("aria-live");
  return missing;"##;

const WIDE: &str =
    "return document.documentElement.scrollWidth - document.documentElement.clientWidth";

#[tokio::test]
async fn the_page_can_be_read_light_and_dark_on_a_phone_and_without_seeing_it() {
    let lab = lab("looks").await;
    for partition in 0..3 {
        lab.commit("inventory-service-group", Topic::Payments, partition, 0)
            .await;
    }
    lab.commit("order-service-group", Topic::Orders, 0, 0).await;
    lab.publish(Topic::Payments, 0, 700).await;
    lab.publish(Topic::Orders, 0, 150).await;
    let browser = Browser::open(&lab.url).await;
    browser.until_text("700").await;
    browser.until_text("start the consumers").await;
    let nothing = json!([]);
    assert_eq!(browser.run(FAINT).await, nothing, "light");
    assert_eq!(browser.run(UNNAMED).await, nothing);
    assert_eq!(browser.run(WIDE).await, 0, "1280 pixels");

    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.tell("Emulation.setEmulatedMedia", dark).await;
    let ground = browser
        .run("return getComputedStyle(document.body).backgroundColor")
        .await;
    assert_eq!(ground, "rgb(16, 21, 27)");
    assert_eq!(browser.run(FAINT).await, nothing, "dark");

    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser
        .tell("Emulation.setDeviceMetricsOverride", phone)
        .await;
    browser
        .until(
            "the page has the phone's width",
            "return innerWidth === 360",
        )
        .await;
    assert_eq!(browser.run(WIDE).await, 0, "360 pixels");
    browser.close(false).await;
    lab.stop().await;
}

/// What can be reached and was not.
const UNREACHED: &str = r#"
  const all = [...document.querySelectorAll('button, input, a, [tabindex="0"]')].filter((node) => node.checkVisibility());
  return all.filter((node) => !("reached" in node.dataset)).map((node) => node.outerHTML.slice(0, 90));"#;

#[tokio::test]
async fn every_part_is_reached_by_the_tab_key_and_shows_that_it_is() {
    let lab = lab("tab").await;
    lab.commit("watched", Topic::Payments, 0, 0).await;
    lab.publish(Topic::Payments, 0, 3).await;
    let browser = Browser::open(&lab.url).await;
    browser
        .until_text(&format!("{} on", lab.name("watched")))
        .await;
    // While somebody walks over the page no card may come that another test makes.
    lab.stop().await;
    browser.until_text("monitor not reachable since").await;
    let wanted = browser.run(UNREACHED).await.as_array().unwrap().len();
    let tab = json!({"type": "keyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
    let mut unseen = Vec::new();
    for _ in 0..wanted {
        browser.tell("Input.dispatchKeyEvent", tab.clone()).await;
        let at = browser
            .run("const node = document.activeElement; node.dataset.reached = ''; return [getComputedStyle(node).outlineStyle !== 'none', node.outerHTML.slice(0, 90)]")
            .await;
        if at[0] != true {
            unseen.push(at[1].clone());
        }
    }
    assert!(unseen.is_empty(), "{unseen:?}");
    assert_eq!(browser.run(UNREACHED).await, json!([]));
    browser.close(true).await;
}
