//! Every command that lag-monitor recommends is run as it is recommended.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::rig::{PROGRAM, Rig, until};

const GROUP: &str = "inventory-service-group";

/// Every form of a recommended command. A unit test of lag-monitor compares this file with the code.
const COMMANDS: &str = include_str!("../../../../lag-monitor/src/recommend/commands.txt");

/// Runs this command when it is dropped, so that the next test finds the defaults even after a failure.
struct Afterwards<'r>(&'r Rig, &'static [&'static str]);

impl Drop for Afterwards<'_> {
    fn drop(&mut self) {
        let ran = self.0.run(self.1);
        // A second panic would abort the program and hide the first one.
        if !std::thread::panicking() {
            assert_eq!(ran.code, 0, "{:?}: {}", self.1, ran.errors);
        }
    }
}

/// The commands that lag-monitor recommends at present for the group.
fn recommended(rig: &Rig, group: &str, topic: &str) -> Result<Vec<String>, String> {
    let monitor = rig.good(&["url", "lag-monitor"]);
    let url = format!(
        "{}/recommendations?group={group}&topic={topic}",
        monitor.trim()
    );
    let output = Command::new("curl")
        .args(["-sS", "--fail-with-body", "--noproxy", "*", &url])
        .output()
        .unwrap();
    let body = String::from_utf8(output.stdout).unwrap();
    if !output.status.success() {
        return Err(body);
    }
    let answer: Value = serde_json::from_str(&body).unwrap();
    let all = answer["recommendations"].as_array().unwrap();
    let commands = all.iter().filter_map(|one| one["command"].as_str());
    Ok(commands.map(str::to_owned).collect())
}

/// Waits until this command is recommended, and returns all recommended commands.
fn with_advice(rig: &Rig, group: &str, topic: &str, command: &str) -> Vec<String> {
    until(&format!("{command} is recommended"), || {
        let commands = recommended(rig, group, topic)?;
        match commands.iter().any(|one| one == command) {
            true => Ok(commands),
            false => Err(format!("{commands:?}")),
        }
    })
}

/// Many records wait for members that are not slow by a processing time, for which the
/// recommendation would be another one: each record is a batch.
fn fall_behind(rig: &Rig) {
    rig.good(&["consumer", "set", "inventory-service", "--batch-max", "1"]);
    rig.good(&["load", "burst", "--count", "4000"]);
    rig.good(&[
        "wait", "lag", "--group", GROUP, "--above", "500", "--within", "60s",
    ]);
}

fn caught_up(rig: &Rig) {
    rig.good(&[
        "wait",
        "lag",
        "--group",
        GROUP,
        "--caught-up",
        "--within",
        "120s",
    ]);
}

/// Runs a command in a shell at the root of the repository.
fn paste(rig: &Rig, command: &str) {
    let pasted = command.replace("./sandbox", &PROGRAM.to_string_lossy());
    let of_stack = rig.command(&[]);
    let environment = of_stack.get_envs();
    let output = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &pasted])
        .envs(environment.filter_map(|(name, value)| Some((name, value?))))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
}

/// A group has a lag only after its first commit.
fn read_once(rig: &Rig) {
    rig.good(&["load", "burst", "--count", "30"]);
    rig.good(&["wait", "lag", "--caught-up", "--within", "120s"]);
}

#[test]
fn every_command_that_is_recommended_works_when_it_is_pasted() {
    let rig = Rig::shared();
    // Kafka cannot remove partitions.
    let _afterwards = Afterwards(&rig, &["reset"]);
    rig.good(&["restart", "lag-monitor", "--set", "POLL_INTERVAL_SECONDS=1"]);
    read_once(&rig);
    let mut pasted = BTreeSet::new();
    let mut paste_all = |commands: Vec<String>| {
        for command in commands {
            paste(&rig, &command);
            pasted.insert(command);
        }
    };

    // One member for three partitions.
    fall_behind(&rig);
    let scale = "./sandbox scale inventory-service=3";
    paste_all(with_advice(&rig, GROUP, "payments", scale));
    caught_up(&rig);

    // Four members. The other recommendation, more partitions, would give each member work.
    rig.good(&["scale", "inventory-service=4"]);
    let idle = [
        "wait",
        "members",
        "inventory-service",
        "--count",
        "4",
        "--idle",
        "1",
        "--within",
        "120s",
    ];
    rig.good(&idle);
    with_advice(&rig, GROUP, "payments", scale);
    paste_all(vec![scale.to_owned()]);

    // Three members, which are not enough.
    fall_behind(&rig);
    let grow = "./sandbox topics grow payments --partitions 6";
    paste_all(with_advice(&rig, GROUP, "payments", grow));
    caught_up(&rig);

    // No member.
    rig.good(&["kill", "inventory-service"]);
    rig.good(&["load", "burst", "--count", "60"]);
    let up = "./sandbox up inventory-service";
    paste_all(with_advice(&rig, GROUP, "payments", up));
    caught_up(&rig);

    for command in COMMANDS.lines().filter(|one| !pasted.contains(*one)) {
        let of_others = ["order-service", "payment-service"];
        let of_another = of_others.iter().any(|name| command.contains(name));
        if command.contains("theirs") || command.contains("dlq-replay") {
            // No topic can have the first name; a unit test of lag-monitor covers its quoting. The
            // group of a replay exists only after a replay.
        } else if of_another && !command.starts_with("./sandbox kafka ") {
            // The same command for another service: it only has to be accepted.
            paste(&rig, &format!("{command} --help"));
        } else {
            paste(&rig, command);
        }
    }

    // The members say that they are paused. Nothing else is recommended than to resume them.
    rig.good(&["consumer", "pause", "order-service"]);
    rig.good(&["load", "burst", "--count", "300"]);
    let (paused, topic) = ("order-service-group", "orders");
    rig.good(&[
        "wait", "status", paused, "--topic", topic, "--rule", "paused", "--within", "30s",
    ]);
    let resume = "./sandbox consumer resume order-service";
    let all = with_advice(&rig, paused, topic, resume);
    assert_eq!(all, [resume]);
    paste(&rig, resume);
    rig.good(&["wait", "lag", "--caught-up", "--within", "60s"]);
}

#[test]
fn a_rate_is_a_number_and_a_group_that_nobody_knows_is_answered_with_those_there_are() {
    let rig = Rig::shared();
    let _afterwards = Afterwards(&rig, &["consumer", "clear", "inventory-service"]);
    read_once(&rig);
    rig.good(&["consumer", "slow", "inventory-service", "--time-ms", "100"]);
    rig.good(&["load", "burst", "--count", "400"]);
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

    for unknown in [
        &["rate", "no-such-group", "--over", "1s"][..],
        &[
            "wait",
            "lag",
            "--group",
            "no-such-group",
            "--caught-up",
            "--within",
            "20s",
        ],
    ] {
        let ran = rig.run(unknown);
        assert_eq!(ran.code, 1, "{unknown:?}: {}", ran.errors);
        assert!(ran.errors.contains(GROUP), "{unknown:?}: {}", ran.errors);
    }
}
