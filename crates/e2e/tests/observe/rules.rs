//! The alert rules, and their cases for promtool.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::prometheus::program;
use crate::{checkout, dashboard, is_scenario, text};

/// Each rule by name, with the lines that belong to it.
pub fn rules() -> BTreeMap<String, String> {
    let all = text("prometheus/alerts.yml");
    let rules = all.split("- alert: ").skip(1).map(|rule| {
        let (name, lines) = rule.split_once('\n').unwrap();
        (name.trim().to_owned(), lines.to_owned())
    });
    rules.collect()
}

/// For each alert, the number of cases that fire and of cases that must not fire.
fn cases() -> BTreeMap<String, (usize, usize)> {
    let mut cases: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let all = text("prometheus/alerts.test.yml");
    for case in all.split("alertname: ").skip(1) {
        let mut lines = case.lines();
        let (fires, rests) = cases.entry(lines.next().unwrap().to_owned()).or_default();
        match lines.next().unwrap().trim() {
            "exp_alerts: []" => *rests += 1,
            "exp_alerts:" => *fires += 1,
            other => panic!("not known: {other}"),
        }
    }
    cases
}

#[test]
fn every_rule_has_a_case_that_fires_and_one_that_must_not() {
    let cases = cases();
    for name in rules().keys() {
        let (fires, rests) = cases.get(name).copied().unwrap_or_default();
        assert!(fires > 0 && rests > 0, "{name}: {fires} fire, {rests} not");
    }
    let known: Vec<String> = rules().into_keys().collect();
    assert_eq!(cases.into_keys().collect::<Vec<_>>(), known);
}

#[test]
fn every_rule_says_how_bad_it_is_what_to_do_and_which_scenario_shows_it() {
    for (name, lines) in rules() {
        let value = |key: &str| value(&name, &lines, key);
        let severity = value("severity");
        assert!(
            ["critical", "warning"].contains(&severity.as_str()),
            "{name}"
        );
        assert!(value("summary").len() > 20, "{name}");
        assert!(value("description").len() > 60, "{name}");
        assert!(is_scenario(&value("scenario")), "{name}");
    }
}

/// Runs promtool on a file, which must succeed.
pub fn promtool(arguments: [&str; 2], file: &Path) {
    let mut command = program("promtool");
    let command = command.args(arguments).arg(file);
    let ran = command.output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn promtool_finds_the_rules_well_formed() {
    promtool(["check", "rules"], &checkout("prometheus/alerts.yml"));
}

#[test]
fn the_rules_fire_and_rest_as_their_cases_say() {
    promtool(["test", "rules"], &checkout("prometheus/alerts.test.yml"));
}

#[test]
fn the_rules_for_the_prometheus_operator_are_the_same() {
    let rules = text("prometheus/alerts.yml");
    let (_, rules) = rules.split_once("\ngroups:\n").unwrap();
    let found = text("kubernetes/monitoring/alerts.yaml");
    let (_, found) = found.split_once("\n  groups:\n").unwrap();
    let expected = rules.lines().map(|line| match line.is_empty() {
        true => String::new(),
        false => format!("  {line}"),
    });
    let same = found.lines().eq(expected);
    assert!(same, "run kubernetes/monitoring/generate");
}

#[test]
fn the_documentation_has_a_line_for_every_rule_and_the_scenario_of_each_names_it() {
    let documentation = text("docs/observability.md");
    for (name, lines) in rules() {
        let scenario = value(&name, &lines, "scenario");
        let line = format!("| `{name}` |");
        let documented = documentation.lines().find(|one| one.starts_with(&line));
        let link = format!("[{scenario}](../scenarios/{scenario}/README.md)");
        assert!(documented.unwrap_or_default().contains(&link), "{name}");
        let readme = text(&format!("scenarios/{scenario}/README.md"));
        assert!(
            where_to_look(&readme).contains(&format!("`{name}`")),
            "{name}"
        );
    }
}

#[test]
fn the_page_for_the_person_on_call_names_every_alert_and_every_scenario() {
    let page = text("docs/on-call.md");
    for name in rules().keys() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    for folder in fs::read_dir(checkout("scenarios")).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        let link = format!("[{name}](../scenarios/{name}/README.md)");
        assert!(page.contains(&link), "{name}");
    }
    for page in ["README.md", "docs/observability.md"] {
        assert!(text(page).contains("on-call.md)"), "{page}");
    }
}

#[test]
fn every_scenario_says_where_to_look_and_the_panels_it_names_are_there() {
    let boards = dashboard::all();
    let everything = boards.iter().flat_map(|board| board.everything());
    let titles: Vec<&str> = everything
        .map(|one| one["title"].as_str().unwrap())
        .collect();
    for folder in fs::read_dir(checkout("scenarios")).unwrap() {
        let file = folder.unwrap().path().join("README.md");
        let readme = fs::read_to_string(&file).unwrap();
        let named = where_to_look(&readme);
        assert!(named.contains("dashboard *"), "{}", file.display());
        for title in named.split('"').skip(1).step_by(2) {
            assert!(
                titles.contains(&title),
                "{}: no panel {title}",
                file.display()
            );
        }
    }
}

/// The paragraph "Where to look" of a scenario, on one line.
fn where_to_look(readme: &str) -> String {
    let paragraph = readme
        .split("\n\n")
        .find(|one| one.starts_with("**Where to look**"));
    paragraph.unwrap_or_default().replace('\n', " ")
}

/// The value of a key of a rule.
fn value(rule: &str, lines: &str, key: &str) -> String {
    let mut lines = lines.lines().map(str::trim);
    let found = lines.find_map(|line| line.strip_prefix(&format!("{key}: ")));
    found
        .unwrap_or_else(|| panic!("{rule} has no {key}"))
        .to_owned()
}
