//! Contrast, names for screen readers, keyboard, and small screens.

use serde_json::json;
use shared_events::Topic;

use crate::browser::Browser;
use crate::start_monitor;

/// Texts whose contrast to their background is below 4.5 to 1, the limit of WCAG 2 (AA).
const LOW_CONTRAST: &str = r#"
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = numbers(colour).map((n) => n / 255).map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.textContent.trim()).join("");
    if (!text || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const [a, b] = [luminance(node instanceof SVGElement ? style.fill : style.color), luminance(background(node))].sort((a, b) => b - a);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) low.push(`${text}: ${contrast.toFixed(2)}`);
  }
  return low;"#;

/// Elements without a name for a screen reader.
const UNNAMED: &str = r##"
  const missing = [];
  const check = (selector, isNamed) => document.querySelectorAll(selector).forEach((node) => isNamed(node) || missing.push(node.outerHTML.slice(0, 120)));
  check("input", (node) => node.labels.length === 1 && node.labels[0].textContent.trim());
  check("button, a", (node) => node.textContent.trim() || node.ariaLabel);
  check("table", (node) => node.caption?.textContent.trim());
  check("th", (node) => ["col", "row"].includes(node.scope));
  check("svg", (node) => node.ariaHidden === "true" || (node.role === "img" && node.ariaLabel));
  check("section", (node) => document.getElementById(node.getAttribute("aria-labelledby")));
  check(".badge", (node) => node.lastElementChild.textContent);
  if (document.querySelectorAll("h1").length !== 1) missing.push("h1");
  if (!document.querySelector("[aria-live=polite]")) missing.push("aria-live");
  return missing;"##;

const OVERFLOW: &str =
    "return document.documentElement.scrollWidth - document.documentElement.clientWidth";

#[tokio::test]
async fn the_page_is_readable_dark_on_a_phone_and_by_screen_reader() {
    let monitor = start_monitor("looks").await;
    for partition in 0..3 {
        monitor
            .commit("inventory-service-group", Topic::Payments, partition, 0)
            .await;
    }
    monitor
        .commit("order-service-group", Topic::Orders, 0, 0)
        .await;
    monitor.publish(Topic::Payments, 0, 700).await;
    monitor.publish(Topic::Orders, 0, 150).await;
    let browser = Browser::open(&monitor.url).await;
    browser.until_text("700").await;
    browser.until_text("start the consumers").await;
    let none = json!([]);
    assert_eq!(browser.run(LOW_CONTRAST).await, none, "light");
    assert_eq!(browser.run(UNNAMED).await, none);
    assert_eq!(browser.run(OVERFLOW).await, 0, "1280 pixels");

    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.devtools("Emulation.setEmulatedMedia", dark).await;
    let background = browser
        .run("return getComputedStyle(document.body).backgroundColor")
        .await;
    assert_eq!(background, "rgb(16, 21, 27)");
    assert_eq!(browser.run(LOW_CONTRAST).await, none, "dark");

    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser
        .devtools("Emulation.setDeviceMetricsOverride", phone)
        .await;
    browser
        .until(
            "the page has the phone's width",
            "return innerWidth === 360",
        )
        .await;
    assert_eq!(browser.run(OVERFLOW).await, 0, "360 pixels");
    browser.close().await;
    monitor.stop().await;
}

/// Focusable elements that the Tab key has not reached.
const UNREACHED: &str = r#"
  const all = [...document.querySelectorAll('button, input, a, [tabindex="0"]')].filter((node) => node.checkVisibility());
  return all.filter((node) => !("reached" in node.dataset)).map((node) => node.outerHTML.slice(0, 90));"#;

#[tokio::test]
async fn the_tab_key_reaches_every_control_with_a_visible_focus() {
    let monitor = start_monitor("tab").await;
    monitor.commit("watched", Topic::Payments, 0, 0).await;
    monitor.publish(Topic::Payments, 0, 3).await;
    let browser = Browser::open(&monitor.url).await;
    browser
        .until_text(&format!("{} on", monitor.name("watched")))
        .await;
    // A stopped monitor adds no cards for groups of other tests while the focus moves.
    monitor.stop().await;
    browser.until_text("monitor not reachable since").await;
    let controls = browser.run(UNREACHED).await.as_array().unwrap().len();
    let tab = json!({"type": "keyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
    let mut without_outline = Vec::new();
    for _ in 0..controls {
        browser
            .devtools("Input.dispatchKeyEvent", tab.clone())
            .await;
        let at = browser
            .run("const node = document.activeElement; node.dataset.reached = ''; return [getComputedStyle(node).outlineStyle !== 'none', node.outerHTML.slice(0, 90)]")
            .await;
        if at[0] != true {
            without_outline.push(at[1].clone());
        }
    }
    assert!(without_outline.is_empty(), "{without_outline:?}");
    assert_eq!(browser.run(UNREACHED).await, json!([]));
    browser.close_after_network_errors().await;
}
