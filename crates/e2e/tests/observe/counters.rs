//! What dashboards and rules make of a counter that is new: it may be above 0 at the first scrape of its series, and `increase` and
//! `rate` see only the difference of two samples.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::dashboard;
use crate::expression::{Selector, selectors};
use crate::rules::{promtool, rules};

const START: &str = "process_start_time_seconds";

/// Every expression that uses `increase` or `rate`, with the place where it is written.
fn expressions() -> Vec<(String, String)> {
    let of_dashboards = dashboard::all();
    let of_dashboards = of_dashboards.iter().flat_map(|board| board.asked());
    let of_dashboards = of_dashboards.map(|asked| (asked.place, asked.expression));
    let of_rules = rules().into_iter().map(|(name, lines)| {
        let (_, from) = lines.split_once("expr: ").unwrap();
        let (expression, _) = from.split_once("labels:").unwrap();
        let expression = expression.trim_start_matches(">-");
        (name, expression.split(" for: ").next().unwrap().to_owned())
    });
    let all = of_dashboards.chain(of_rules).map(|(place, expression)| {
        let words: Vec<&str> = expression.split_whitespace().collect();
        (place, words.join(" "))
    });
    all.filter(|(_, expression)| next_call(expression).is_some())
        .collect()
}

/// The first `increase(SELECTOR[WINDOW])` or `rate(…)` of an expression.
struct Call<'a> {
    function: &'a str,
    selector: &'a str,
    window: &'a str,
}

fn next_call(expression: &str) -> Option<Call<'_>> {
    let calls = ["increase(", "rate("].into_iter().filter_map(|name| {
        let at = expression.find(name)?;
        let inner = expression[at..].strip_prefix(name)?;
        let (selector, rest) = inner.split_once('[')?;
        let (window, _) = rest.split_once(']')?;
        Some((
            at,
            Call {
                function: name.trim_end_matches('('),
                selector,
                window,
            },
        ))
    });
    calls.min_by_key(|(at, _)| *at).map(|(_, call)| call)
}

impl Call<'_> {
    /// The form in which a dashboard or a rule counts: a series that is new within the window counts as a whole, if Prometheus had
    /// scraped its process before or the process is new too; a restarted process counts at least what it has counted since.
    fn form(&self) -> String {
        let Self {
            function,
            selector,
            window,
        } = self;
        let seconds = match *window {
            "1m" => "60",
            "5m" => "300",
            "10m" => "600",
            "1h" => "3600",
            other => panic!("the seconds of {other} are not known here"),
        };
        let new = format!(
            "max_over_time({selector}[{window}]) unless last_over_time({selector}[5m] offset {window}) \
             and on (job, instance) (last_over_time({START}[5m] offset {window}) or last_over_time({START}[{window}]) > time() - {seconds})"
        );
        let last = format!("last_over_time({selector}[{window}])");
        let (new, last) = match *function {
            "rate" => (
                format!("({new}) / {seconds}"),
                format!("{last} / {seconds}"),
            ),
            _ => (new, last),
        };
        format!(
            "{new} or {last} > {function}({selector}[{window}]) and on (job, instance) last_over_time({START}[{window}]) > time() - {seconds} \
             or {function}({selector}[{window}])"
        )
    }
}

#[test]
fn every_increase_and_rate_counts_what_a_new_counter_begins_with() {
    for (place, expression) in expressions() {
        // In a panel `$__rate_interval` stands for 1 m here.
        let mut rest = expression
            .replace("(60000 / 1000)", "60")
            .replace("60000 / 1000", "60");
        while let Some(call) = next_call(&rest) {
            let form = call.form();
            let without = rest.replacen(&form, "", 1);
            assert!(
                without.len() < rest.len(),
                "{place}: {rest}\nhas {} not in the form\n{form}",
                call.function
            );
            rest = without;
        }
    }
}

/// Two minutes after the start of the test, a counter that is 3 at its first sample: at a new process, at a process that Prometheus has
/// scraped all the time, and at one that has been restarted and had counted 3 before.
fn new_counters() -> [(&'static str, &'static str, &'static str); 3] {
    [
        ("new process", "_x24 3x12", "_x24 118x12"),
        ("new series", "_x24 3x12", "0x36"),
        (
            "restarted process",
            "3x22 stale _ 3x12",
            "0x22 stale _ 118x12",
        ),
    ]
}

/// A counter that was 3 long before the window, and one of an old process that Prometheus has only begun to scrape.
fn old_counters() -> [(&'static str, &'static str, &'static str); 2] {
    [
        ("old counter", "3x900", "0x900"),
        ("new Prometheus", "_x860 3x40", "_x860 0x40"),
    ]
}

/// The series of a selector: the labels are such that every matcher of the dashboards finds it, with the variables at "All".
fn series(selector: &Selector, values: &str) -> Vec<Value> {
    let job = match selector.text.split_once("job=\"") {
        Some((_, from)) => from.split('"').next().unwrap(),
        None => "order-service",
    };
    let labels = format!(
        r#"job="{job}", instance="localhost:1", topic="orders", group_id="payment-service-group", class="domain_rule", route="/orders", method="POST", status="500""#
    );
    let metric = &selector.metric;
    let names = match metric.ends_with("_bucket") {
        true => vec![
            format!(r#"{metric}{{{labels}, le="0.5"}}"#),
            format!(r#"{metric}{{{labels}, le="+Inf"}}"#),
        ],
        false => vec![format!("{metric}{{{labels}}}")],
    };
    names
        .into_iter()
        .map(|name| json!({"series": name, "values": values}))
        .collect()
}

fn test_case(
    name: &str,
    expression: &str,
    counter: &str,
    start: &str,
    at: &str,
    query: &str,
    result: Option<f64>,
) -> Value {
    let found = selectors(expression).unwrap();
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for selector in &found {
        let values = match selector.metric.as_str() {
            START => start,
            _ => counter,
        };
        // The start time has the job of the counter.
        let counter = found.iter().find(|one| one.metric != START).unwrap();
        let named = Selector {
            metric: selector.metric.clone(),
            text: counter.text.clone(),
        };
        for one in series(&named, values) {
            all.insert(one["series"].to_string(), one);
        }
    }
    let samples = result.map(|value| json!({"labels": "{}", "value": value}));
    json!({
        "name": name,
        "interval": "5s",
        "input_series": all.into_values().collect::<Vec<_>>(),
        "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": samples.into_iter().collect::<Vec<_>>()}],
    })
}

fn run(name: &str, tests: &[Value]) {
    assert!(!tests.is_empty());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let text = json!({"evaluation_interval": "5s", "tests": tests}).to_string();
    fs::write(&file, text).unwrap();
    promtool(["test", "rules"], &file);
}

#[test]
fn a_counter_that_begins_at_3_is_shown_as_3() {
    let mut tests = Vec::new();
    for (place, expression) in expressions() {
        for (what, counter, start) in new_counters() {
            let name = format!("{place}, {what}: {expression}");
            let has_increase = expression.contains("increase(");
            // A quantile and a ratio have a value if anything was counted; a share of good requests is 0 after three bad ones.
            let (query, result) = match has_increase && !expression.contains("> 0") {
                true => (format!("sum({expression})"), 3.0),
                false if expression.contains("status!~\"5..\"") => {
                    (format!("sum({expression}) + 1"), 1.0)
                }
                false => (format!("count(({expression}) > 0)"), 1.0),
            };
            tests.push(test_case(
                &name,
                &expression,
                counter,
                start,
                "2m20s",
                &query,
                Some(result),
            ));
        }
    }
    run("new-counters.json", &tests);
}

#[test]
fn a_counter_that_has_not_moved_is_shown_as_0_also_by_a_new_prometheus() {
    let mut tests = Vec::new();
    for (place, expression) in expressions() {
        for (what, counter, start) in old_counters() {
            let name = format!("{place}, {what}: {expression}");
            let query = format!("count(({expression}) > 0)");
            tests.push(test_case(
                &name,
                &expression,
                counter,
                start,
                "1h12m30s",
                &query,
                None,
            ));
        }
    }
    run("old-counters.json", &tests);
}
