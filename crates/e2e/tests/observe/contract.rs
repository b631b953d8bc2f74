//! The dashboards and the rules against a real Prometheus, which has scraped the running system under load.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dashboard;
use crate::expression::{Selector, selectors};
use crate::observed::OBSERVED;
use crate::rig::until;
use crate::text;

/// Long enough for two scrapes and one evaluation of every rule.
const WITHIN: Duration = Duration::from_secs(120);

/// Series that Prometheus creates itself.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

/// Repeats the queries until each one succeeds; panics with those that did not in time.
fn all_answered<T>(
    mut open: Vec<T>,
    mut ask: impl FnMut(&T) -> Result<(), String>,
    say: impl Fn(&T) -> String,
) {
    // Starts the stack.
    LazyLock::force(&OBSERVED);
    let deadline = Instant::now() + WITHIN;
    assert!(!open.is_empty(), "nothing is asked");
    loop {
        OBSERVED.order();
        let mut wrong = Vec::new();
        open.retain(|one| match ask(one) {
            Ok(()) => false,
            Err(why) => {
                wrong.push(format!("{}: {why}", say(one)));
                true
            }
        });
        if open.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "no answer to:\n{}",
            wrong.join("\n")
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn every_expression_of_every_panel_has_data() {
    let all = dashboard::all();
    let asked = all.iter().flat_map(dashboard::Dashboard::asked).collect();
    all_answered(
        asked,
        |one: &dashboard::Asked| OBSERVED.prometheus.has_data(&one.expression),
        |one| format!("{}: {}", one.place, one.expression),
    );
}

#[test]
fn a_lag_that_nobody_knows_is_no_series_and_not_0() {
    assert_eq!(OBSERVED.lag_of_nothing, Vec::<Value>::new());
}

#[test]
fn every_variable_has_something_to_choose_from() {
    let all = dashboard::all();
    let offered = all.iter().flat_map(dashboard::Dashboard::offered).collect();
    let has_label = |(asked, label): &(dashboard::Asked, String)| {
        let series = OBSERVED.prometheus.series(&asked.expression)?;
        let labelled = series.iter().any(|one| one[label].is_string());
        labelled
            .then_some(())
            .ok_or(format!("{} series, none with {label}", series.len()))
    };
    all_answered(offered, has_label, |(asked, label)| {
        format!("{}: {label} of {}", asked.place, asked.expression)
    });
}

/// The rules as Prometheus has read them.
fn rules() -> Vec<Value> {
    let data = OBSERVED
        .prometheus
        .ask("rules", &[("type", "alert")])
        .unwrap();
    let groups = data["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    rules.cloned().collect()
}

fn selectors_of_rules() -> Vec<(String, Selector)> {
    let of_rule = |rule: Value| {
        let name = rule["name"].as_str().unwrap().to_owned();
        let found = selectors(rule["query"].as_str().unwrap());
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!found.is_empty(), "{name}");
        found.into_iter().map(move |one| (name.clone(), one))
    };
    rules().into_iter().flat_map(of_rule).collect()
}

#[test]
fn every_selector_of_every_rule_finds_a_series() {
    // A rule that does not fire has an empty result. A misspelt one has, too.
    all_answered(
        selectors_of_rules(),
        |(_, selector)| match OBSERVED.prometheus.series(&selector.text)?.is_empty() {
            false => Ok(()),
            true => Err("no series".to_owned()),
        },
        |(rule, selector)| format!("{rule}: {}", selector.text),
    );
}

#[test]
fn prometheus_evaluates_every_rule_and_the_poison_order_makes_one_fire() {
    let evaluated = |rule: &Value| {
        let again = rules().into_iter().find(|one| one["name"] == rule["name"]);
        let health = again.unwrap()["health"].clone();
        (health == "ok").then_some(()).ok_or(health.to_string())
    };
    let written = text("prometheus/alerts.yml").matches("- alert: ").count();
    assert_eq!(rules().len(), written);
    all_answered(rules(), evaluated, |rule| rule["name"].to_string());
    all_answered(
        vec![r#"ALERTS{alertname="DeadLetters", alertstate="firing", job="inventory-service"}"#],
        |firing| OBSERVED.prometheus.has_data(firing),
        |firing| (*firing).to_owned(),
    );
}

/// The metric families that dashboards or rules name; an error for one that no program exports.
fn shown(exported: &BTreeMap<String, String>) -> Result<BTreeSet<String>, String> {
    let family = |place: &str, metric: &str| {
        let of_histogram = ["_bucket", "_count", "_sum"].iter().find_map(|end| {
            let family = metric.strip_suffix(end)?;
            (exported.get(family)? == "histogram").then(|| family.to_owned())
        });
        let itself = exported.contains_key(metric) || OF_PROMETHEUS.contains(&metric);
        of_histogram
            .or(itself.then(|| metric.to_owned()))
            .ok_or_else(|| format!("{place}: no program exports {metric}"))
    };
    let all = dashboard::all();
    let asked = all.iter().flat_map(dashboard::Dashboard::asked);
    let on_dashboards = asked.flat_map(|one| {
        let found =
            selectors(&one.expression).unwrap_or_else(|error| panic!("{}: {error}", one.place));
        found
            .into_iter()
            .map(move |selector| (one.place.clone(), selector))
    });
    let all = on_dashboards.chain(selectors_of_rules());
    all.map(|(place, selector)| family(&place, &selector.metric))
        .collect()
}

/// The metrics that are not shown, each with its reason.
fn not_shown() -> BTreeMap<String, String> {
    let all = text("prometheus/not-shown.txt");
    let lines = all
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let listed = lines.map(|line| {
        let (name, why) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("no reason: {line}"));
        (name.to_owned(), why.to_owned())
    });
    listed.collect()
}

#[test]
fn every_metric_that_a_program_exports_is_shown_or_listed_as_not_shown() {
    let mut exported = BTreeMap::new();
    let shown = until("every metric that is asked for is exported", || {
        // A summary without recent values is absent for the moment.
        exported.extend(OBSERVED.exported());
        shown(&exported)
    });
    let not_shown = not_shown();
    let forgotten: Vec<&String> = exported
        .keys()
        .filter(|name| !shown.contains(*name) && !not_shown.contains_key(*name))
        .collect();
    assert!(
        forgotten.is_empty(),
        "neither shown nor listed: {forgotten:?}"
    );
    for (name, why) in &not_shown {
        assert!(
            exported.contains_key(name),
            "listed, and no program exports it: {name}"
        );
        assert!(!shown.contains(name), "listed, and shown: {name}");
        assert!(why.len() > 20, "{name}: {why}");
    }
}
