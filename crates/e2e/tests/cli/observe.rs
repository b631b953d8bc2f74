//! `sandbox up --observe`. Prometheus must be installed (Debian: apt-get install prometheus).

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::rig::{Ran, Rig, kernel_state, until};

/// The `data` of a response of Prometheus.
fn ask(rig: &Rig, path: &str, query: &str) -> Value {
    let url = rig.good(&["url", "prometheus"]);
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--noproxy", "*", "--get"])
        .args(["--data-urlencode", query])
        .arg(format!("{}/api/v1/{path}", url.trim()))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Job and health of each target, by its address.
fn targets(rig: &Rig) -> BTreeMap<String, (String, String)> {
    let answer = ask(rig, "targets", "state=active");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let active = answer["data"]["activeTargets"].as_array();
    let each = active.into_iter().flatten().map(|one| {
        let labels = &one["labels"];
        let seen = (text(&labels["job"]), text(&one["health"]));
        (text(&labels["instance"]), seen)
    });
    each.collect()
}

/// The expected targets: every running instance is scraped successfully.
fn all_scraped(rig: &Rig) -> BTreeMap<String, (String, String)> {
    let status = rig.status();
    let rows = status["processes"].as_array().unwrap().iter();
    let instances = rows.filter_map(|row| {
        let (program, _slot) = row["name"].as_str()?.split_once('.')?;
        let address = row["address"].as_str()?.strip_prefix("http://")?;
        let wanted = (program.to_owned(), "up".to_owned());
        Some((address.to_owned(), wanted))
    });
    instances.collect()
}

fn wait_until_all_are_scraped(rig: &Rig, instances: usize) {
    let wanted = all_scraped(rig);
    assert_eq!(wanted.len(), instances, "{wanted:?}");
    until("Prometheus scrapes every instance and nothing else", || {
        let found = targets(rig);
        if found == wanted {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}

#[test]
fn prometheus_follows_every_instance_and_is_a_process_of_the_stack_until_down() {
    let rig = Rig::new();
    let output = rig.good(&["up", "--no-build", "--observe"]);
    let url = rig.good(&["url", "prometheus"]);
    assert!(output.contains(url.trim()), "{output}");
    wait_until_all_are_scraped(&rig, 5);
    rig.good(&["scale", "inventory-service=2"]);
    wait_until_all_are_scraped(&rig, 6);
    let row = rig.process("prometheus").unwrap();
    assert_eq!(row["readiness"], "ready", "{row}");
    assert_eq!(row["address"], url.trim(), "{row}");
    assert!(rig.good(&["logs", "prometheus"]).contains("local.yml"));

    // An instance that does not answer stays a target, with health `down`.
    rig.good(&["kill", "-9", "inventory-service.2"]);
    let away = rig.good(&["url", "inventory-service.2"]);
    let away = away.trim().strip_prefix("http://").unwrap();
    until("what was killed is down", || {
        match targets(&rig).get(away) {
            Some((_, health)) if health == "down" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    rig.good(&["scale", "inventory-service=1"]);
    wait_until_all_are_scraped(&rig, 5);

    rig.good(&["kill", "-9", "prometheus"]);
    let ran = rig.run(&["up", "--no-build"]);
    assert_eq!(ran.code, 0, "{}", ran.errors);
    assert!(ran.errors.contains("started: prometheus"), "{}", ran.errors);
    let seen = format!("query=last_over_time(up{{instance=\"{away}\"}}[1h])");
    let series = |rig: &Rig| {
        ask(rig, "query", &seen)["data"]["result"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(series(&rig), Some(1), "what was measured is kept");
    rig.good(&["reset"]);
    assert_eq!(series(&rig), Some(0), "reset deletes the series");
    wait_until_all_are_scraped(&rig, 5);

    let pid = rig.pid("prometheus").unwrap();
    rig.good(&["down"]);
    assert!(matches!(kernel_state(pid), None | Some('Z')));
    TcpListener::bind(("127.0.0.1", rig.port("PROMETHEUS_PORT"))).unwrap();
}

#[test]
fn an_interrupted_up_takes_prometheus_down_again() {
    let rig = Rig::new();
    let mut up = rig.start(&["up", "--no-build", "--observe"]);
    let pid = until("Prometheus is being started", || {
        rig.recorded("prometheus").ok_or_else(String::new)
    });
    up.interrupt();
    assert_eq!(up.ended(), Some(1));
    assert!(matches!(kernel_state(pid), None | Some('Z')));
    assert_eq!(rig.alive(), [""; 0]);
    assert_eq!(rig.process("prometheus"), None);
}

fn one_line(ran: &Ran, code: i32) {
    assert_eq!(ran.code, code, "{}", ran.errors);
    assert_eq!(ran.errors.lines().count(), 1, "{}", ran.errors);
}

#[test]
fn a_machine_without_prometheus_is_told_how_to_get_it_before_anything_starts() {
    let rig = Rig::new();
    let empty = tempfile::tempdir().unwrap();
    for arguments in [&["up", "--observe"][..], &["up", "prometheus"]] {
        let mut command = rig.command(arguments);
        let ran = Ran::of(command.env("PATH", empty.path()));
        one_line(&ran, 1);
        let monitor = rig.good(&["url", "lag-monitor"]);
        for word in ["apt-get install prometheus", monitor.trim(), "--docker"] {
            assert!(ran.errors.contains(word), "{word}: {}", ran.errors);
        }
    }
    assert_eq!(rig.alive(), [""; 0]);
}

#[test]
fn the_taken_port_of_prometheus_is_named_before_anything_starts_and_only_noted_where_it_is_not_wanted()
 {
    let rig = Rig::new();
    let port = rig.port("PROMETHEUS_PORT");
    let _held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let ran = rig.run(&["up", "--no-build", "--observe"]);
    one_line(&ran, 1);
    let holder = format!("process {}", std::process::id());
    for word in ["PROMETHEUS_PORT", &port.to_string(), &holder] {
        assert!(ran.errors.contains(word), "{word}: {}", ran.errors);
    }
    assert_eq!(rig.alive(), [""; 0]);
    let said = rig.run(&["doctor"]).output;
    let line = said.lines().find(|line| line.contains(&holder));
    assert!(line.unwrap_or_default().starts_with("note "), "{said}");
}
