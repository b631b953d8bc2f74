//! Lag made, seen and recommended against, by the verbs that a person types.

use std::process::Command;

use serde_json::Value;

use crate::rig::{Rig, until};

const GROUP: &str = "inventory-service-group";

/// What lag-monitor answers.
fn monitor(rig: &Rig, path: &str) -> Value {
    let url = format!("{}{path}", rig.good(&["url", "lag-monitor"]).trim());
    let output = Command::new("curl")
        .args(["-sS", "--fail-with-body", "--noproxy", "*", &url])
        .output()
        .unwrap();
    let body = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{url}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The commands that lag-monitor recommends now for the group.
fn recommended(rig: &Rig) -> Vec<String> {
    let answer = monitor(
        rig,
        &format!("/recommendations?group={GROUP}&topic=payments"),
    );
    let all = answer["recommendations"].as_array().unwrap();
    let commands = all.iter().filter_map(|one| one["command"].as_str());
    commands.map(str::to_owned).collect()
}

/// Pastes a command, as a person would at the root of the repository.
fn paste(rig: &Rig, command: &str) {
    let pasted = command.replace("./sandbox", env!("CARGO_BIN_EXE_sandbox"));
    let of_stack = rig.command(&[]);
    let environment = of_stack.get_envs();
    let output = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &pasted])
        .envs(environment.filter_map(|(name, value)| Some((name, value?))))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
}

/// A group has a lag only where it has committed something.
fn read_once(rig: &Rig) {
    rig.good(&["load", "burst", "--count", "30"]);
    rig.good(&["wait", "lag", "--at-rest"]);
}

#[test]
fn a_slow_group_falls_behind_and_every_command_that_is_recommended_works() {
    let rig = Rig::shared();
    read_once(&rig);
    rig.good(&["consumer", "slow", "inventory-service", "--time-ms", "2000"]);
    rig.good(&["load", "burst", "--count", "700"]);
    rig.good(&[
        "wait", "lag", "--group", GROUP, "--above", "500", "--within", "60s",
    ]);
    let commands = until("lag-monitor recommends something", || {
        let commands = recommended(&rig);
        match commands.is_empty() {
            true => Err("nothing".to_owned()),
            false => Ok(commands),
        }
    });
    for command in commands {
        paste(&rig, &command);
    }
    // A topic that was grown cannot be shrunk.
    rig.good(&["reset"]);
}

#[test]
fn a_rate_is_a_number_and_a_group_that_nobody_knows_is_answered_with_those_there_are() {
    let rig = Rig::shared();
    read_once(&rig);
    rig.good(&["consumer", "slow", "inventory-service", "--time-ms", "100"]);
    rig.good(&["load", "burst", "--count", "100"]);
    rig.good(&[
        "wait", "lag", "--group", GROUP, "--above", "50", "--within", "60s",
    ]);
    let rate: f64 = rig
        .good(&["rate", GROUP, "--over", "2s"])
        .trim()
        .parse()
        .unwrap();
    assert!(rate > 0.0 && rate < 100.0, "{rate}");
    rig.good(&["rate", GROUP, "--drain"]);
    rig.good(&["consumer", "clear", "inventory-service"]);

    for unknown in [
        &["rate", "no-such-group", "--over", "1s"][..],
        &[
            "wait",
            "lag",
            "--group",
            "no-such-group",
            "--at-rest",
            "--within",
            "1s",
        ],
    ] {
        let ran = rig.run(unknown);
        assert_eq!(ran.code, 1, "{unknown:?}: {}", ran.errors);
        assert!(ran.errors.contains(GROUP), "{unknown:?}: {}", ran.errors);
    }
}
