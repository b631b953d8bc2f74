//! Checks of the dashboards that need neither Grafana nor Prometheus.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::dashboard::{Dashboard, all};
use crate::{is_scenario, text};

const KINDS: [&str; 4] = ["stat", "timeseries", "bargauge", "state-timeline"];

fn each_panel(mut check: impl FnMut(&Value, &str)) {
    for dashboard in all() {
        for panel in dashboard.panels() {
            check(panel, &dashboard.place(panel));
        }
    }
}

fn unique<T: Ord + std::fmt::Debug>(what: &str, all: impl Iterator<Item = T>) {
    let mut seen = BTreeSet::new();
    for one in all {
        let again = format!("{what} {one:?} is used twice");
        assert!(seen.insert(one), "{again}");
    }
}

#[test]
fn there_are_three_dashboards_that_grafana_can_provision() {
    let all = all();
    let titles: Vec<&str> = all
        .iter()
        .map(|one| one.json["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["Kafka clients", "Saga & Consumer Lag", "Services"]);
    for dashboard in &all {
        assert_eq!(dashboard.json["uid"], dashboard.name.as_str());
        assert_eq!(dashboard.json["schemaVersion"], 41, "{}", dashboard.name);
        let exported = ["__inputs", "__requires", "__elements", "id"];
        for key in exported {
            assert!(
                dashboard.json.get(key).is_none(),
                "{}: {key}",
                dashboard.name
            );
        }
    }
}

#[test]
fn consumer_lag_by_group_is_in_the_first_look() {
    let all = all();
    let saga = all.iter().find(|one| one.name == "saga-and-consumer-lag");
    let mut panels = saga.unwrap().panels();
    let lag = panels
        .find(|one| one["title"] == "Consumer Lag by Group")
        .unwrap();
    // A unit of the grid is 38 px, and Grafana's own head about 120: 800 px show 18 units.
    assert!(
        lag["gridPos"]["y"].as_u64().unwrap() <= 13,
        "{}",
        lag["gridPos"]
    );
}

#[test]
fn ids_and_titles_are_unique_in_a_dashboard() {
    for dashboard in all() {
        let everything = || dashboard.everything().iter();
        unique("id", everything().map(|one| one["id"].as_u64().unwrap()));
        unique(
            "title",
            everything().map(|one| one["title"].as_str().unwrap()),
        );
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_from_when_on_it_is_bad() {
    each_panel(|panel, place| {
        assert!(KINDS.contains(&panel["type"].as_str().unwrap()), "{place}");
        let description = panel["description"].as_str().unwrap();
        assert!(
            (40..=400).contains(&description.len()),
            "{place}: {}",
            description.len()
        );
        assert!(description.contains("normal"), "{place}");
        let field = &panel["fieldConfig"]["defaults"];
        assert!(!field["unit"].as_str().unwrap().is_empty(), "{place}");
        let steps = field["thresholds"]["steps"].as_array().unwrap();
        assert!(steps[0]["value"].is_null(), "{place}");
        let limits = steps[1..].iter().map(|one| one["value"].as_f64().unwrap());
        assert!(limits.is_sorted(), "{place}");
    });
}

#[test]
fn every_stat_has_a_limit_from_which_on_its_colour_changes() {
    each_panel(|panel, place| {
        let steps = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"];
        let limits = steps.as_array().unwrap().len() - 1;
        assert!(panel["type"] != "stat" || limits > 0, "{place}");
    });
}

#[test]
fn no_data_is_shown_as_no_data_and_a_gap_as_a_gap() {
    each_panel(|panel, place| {
        let field = &panel["fieldConfig"]["defaults"];
        assert!(
            field["noValue"].as_str().unwrap().starts_with("no data"),
            "{place}"
        );
        let kind = panel["type"].as_str().unwrap();
        let over_time = ["timeseries", "state-timeline"].contains(&kind);
        if over_time {
            assert_eq!(field["custom"]["spanNulls"], false, "{place}");
        }
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            assert!(!expression.contains("vector("), "{place}: {expression}");
            // The last value of a range may be an old one.
            assert_eq!(target["instant"], !over_time, "{place}");
            assert_eq!(target["range"], over_time, "{place}");
        }
    });
}

#[test]
fn panels_lie_in_rows_within_24_columns_and_do_not_overlap() {
    for dashboard in all() {
        let mut taken = BTreeSet::new();
        assert_eq!(
            dashboard.everything()[0]["type"],
            "row",
            "{}",
            dashboard.name
        );
        for one in dashboard.everything() {
            let place = dashboard.place(one);
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| one["gridPos"][key].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{place}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{place} lies on another at {cell:?}");
            }
            // A row that is folded up would hide its panels from the first look.
            assert_ne!(one["collapsed"], true, "{place}");
        }
        let first: Vec<&Value> = dashboard.panels().take(6).collect();
        assert!(
            first.iter().all(|one| one["type"] == "stat"),
            "{}",
            dashboard.name
        );
        assert_eq!(dashboard.everything()[0]["title"], "Is anything wrong now?");
    }
}

#[test]
fn everything_is_asked_of_the_data_source_that_is_provisioned() {
    let provisioned = text("grafana/provisioning/datasources/prometheus.yml");
    let mut lines = provisioned.lines().map(str::trim);
    let uid = lines.find_map(|line| line.strip_prefix("uid: ")).unwrap();
    for dashboard in all() {
        let queries = dashboard
            .variables()
            .iter()
            .filter(|one| one["type"] == "query");
        for variable in queries {
            assert_eq!(variable["datasource"]["uid"], uid, "{}", dashboard.name);
        }
        for panel in dashboard.panels() {
            let place = dashboard.place(panel);
            assert_eq!(panel["datasource"]["uid"], uid, "{place}");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{place}");
            unique(
                &place,
                targets.iter().map(|one| one["refId"].as_str().unwrap()),
            );
            for target in targets {
                assert_eq!(target["datasource"]["uid"], uid, "{place}");
            }
        }
    }
}

#[test]
fn every_panel_leads_to_a_scenario_that_exists() {
    each_panel(|panel, place| {
        let links = panel["links"].as_array().unwrap();
        assert!(!links.is_empty(), "{place}");
        for link in links {
            let url = link["url"].as_str().unwrap();
            let name = url
                .strip_prefix("${monitor:raw}/scenarios/")
                .unwrap_or_default();
            assert!(is_scenario(name), "{place}: {url}");
        }
    });
}

#[test]
fn every_variable_is_used_and_every_one_that_is_used_is_there() {
    for dashboard in all() {
        // Panics at an undefined variable.
        dashboard.asked();
        dashboard.offered();
        let panels = dashboard.json["panels"].to_string();
        for variable in dashboard.variables() {
            let name = variable["name"].as_str().unwrap();
            let used =
                panels.contains(&format!("${name}")) || panels.contains(&format!("${{{name}:"));
            assert!(used, "{}: {name}", dashboard.name);
            assert!(
                !variable["label"].as_str().unwrap().is_empty(),
                "{}: {name}",
                dashboard.name
            );
        }
        let monitor = variable(&dashboard, "monitor");
        assert_eq!(
            monitor["query"], "http://localhost:8010",
            "{}",
            dashboard.name
        );
    }
}

fn variable<'a>(dashboard: &'a Dashboard, name: &str) -> &'a Value {
    let found = dashboard.variables().iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("{} has no variable {name}", dashboard.name))
}

/// A default of lag-monitor, as its help shows it.
fn default_of_lag_monitor(option: &str) -> u64 {
    let program = crate::rig::PROGRAM.with_file_name("lag-monitor");
    let ran = std::process::Command::new(&program).arg("--help").output();
    let help = String::from_utf8(ran.unwrap().stdout).unwrap();
    let (_, after) = help.split_once(option).unwrap();
    let (_, default) = after.split_once("[default: ").unwrap();
    default.split(']').next().unwrap().parse().unwrap()
}

#[test]
fn the_thresholds_of_lag_are_those_of_lag_monitor() {
    let warning = default_of_lag_monitor("--lag-threshold-warning");
    let critical = default_of_lag_monitor("--lag-threshold-critical");
    let mut compared = 0;
    each_panel(|panel, place| {
        let targets = panel["targets"].as_array().unwrap().iter();
        let mut asked = targets.map(|one| one["expr"].as_str().unwrap());
        if asked.any(|one| one.contains("kafka_consumer_group_lag")) {
            let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].clone();
            let steps = steps.as_array().unwrap().iter();
            let limits: Vec<u64> = steps.filter_map(|one| one["value"].as_u64()).collect();
            assert_eq!(limits, [warning, critical], "{place}");
            compared += 1;
        }
    });
    assert!(compared >= 3, "{compared}");
    let rules = crate::rules::rules();
    let gains = format!("offset 2m) > {warning})");
    assert!(rules["GroupDoesNotGain"].contains(&gains), "{gains}");
    let large = format!("(kafka_consumer_group_lag_total) >= {critical}");
    assert!(rules["GroupCritical"].contains(&large), "{large}");
    let documentation = text("docs/observability.md");
    let thresholds = format!("{warning} and {critical} records");
    assert!(documentation.contains(&thresholds), "{thresholds}");
}
