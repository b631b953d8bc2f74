//! `sandbox scenario` as a person or a script runs it: exit codes and output. Steps under `Restore` always run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helper functions of tests fail by panicking"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn sandbox(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    sandbox(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with a scenario. `DIR` in its steps is replaced with the folder.
fn scenario(readme: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let readme = readme.replace("DIR", &folder.path().display().to_string());
    std::fs::write(folder.path().join("README.md"), readme).unwrap();
    folder
}

fn path(folder: &tempfile::TempDir) -> String {
    format!("{}/", folder.path().display())
}

fn wait_for(file: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !file.exists() {
        assert!(Instant::now() < deadline, "no {}", file.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_scenario_runs_in_one_mode_which_its_steps_know() {
    let folder = scenario(
        "# Two modes\n## Look\n```sh\necho \"$SANDBOX_MODE ${KAFKA_PORT-none}\" > DIR/seen\n```\n```sh docker\ntouch DIR/docker\n```\n",
    );
    for (mode, seen) in [("docker", "docker none\n"), ("local", "local 9092\n")] {
        let mut command = sandbox(&["scenario", "--mode", mode, &path(&folder)]);
        let output = command.env_remove("KAFKA_PORT").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let found = std::fs::read_to_string(folder.path().join("seen")).unwrap();
        assert_eq!(found, seen);
        let docker = std::fs::remove_file(folder.path().join("docker"));
        assert_eq!(docker.is_ok(), mode == "docker");
    }
}

#[test]
fn without_a_name_the_scenarios_are_listed_and_none_is_played() {
    let output = run(&["scenario"]);
    assert_eq!(output.status.code(), Some(2));
    let (listed, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(listed, text(&run(&["scenario", "--list"]).stdout));
    assert!(
        error.starts_with("error: which scenario?") && error.contains("--all"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    let both = run(&["scenario", "--all", "dead-letter"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn a_step_cannot_write_control_sequences_to_the_terminal() {
    let folder = scenario("# Hostile\n```sh\nprintf 'x\\033[31m\\033]0;title\\007y\\n'\n```\n");
    let output = run(&["scenario", &path(&folder)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("x\\u001b[31m\\u001b]0;title\\u0007y"),
        "{shown}"
    );
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
}

#[test]
fn a_failed_scenario_exits_with_1_and_names_the_step() {
    let folder = scenario(
        "# Broken\n## Break\n```sh\necho fine\n```\n## Fix\n```sh\nfalse\n```\n## Verify\n```sh\ntouch DIR/verified\n```\n## Restore\n```sh\ntouch DIR/restored\n```\n",
    );
    let output = run(&["scenario", &path(&folder)]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("Fix: exit code 1"), "{error}");
    let table = text(&output.stdout);
    for row in [
        "Break", "PASS", "Fix", "FAIL", "Verify", "SKIPPED", "Restore",
    ] {
        assert!(table.contains(row), "no {row} in {table}");
    }
    assert!(!folder.path().join("verified").exists() && folder.path().join("restored").exists());
}

#[test]
fn a_step_that_must_fail_may_not_fail_by_wrong_usage() {
    let sandbox = env!("CARGO_BIN_EXE_sandbox");
    let control = |figures: &str| {
        let step = format!("{sandbox} expect ratio {figures} --at-least 2");
        let folder = scenario(&format!("# Control\n```sh fails\n{step}\n```\n"));
        run(&["scenario", &path(&folder)])
    };
    let passed = control("3 2");
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed.stderr));
    for wrong in ["3 0", "3", "3 fast"] {
        let output = control(wrong);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{wrong}: {error}");
        assert!(error.contains("Control: exit code 2"), "{wrong}: {error}");
    }
}

#[test]
fn a_passed_scenario_exits_with_0_and_is_complete_as_json() {
    let folder = scenario("# Whole\n```sh\necho seen\n```\n");
    let output = run(&["scenario", "--json", &path(&folder)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let scenario = &result["scenarios"][0];
    assert_eq!(
        (
            scenario["verdict"].as_str(),
            scenario["steps"][0]["output"].as_str()
        ),
        (Some("PASS"), Some("seen\n"))
    );
}

#[test]
fn ctrl_c_ends_the_step_and_restores() {
    let folder = scenario(
        "# Long\n```sh\ntouch DIR/begun\nsleep 300\n```\n## Next\n```sh\ntouch DIR/next\n```\n## Restore\n```sh\ntouch DIR/restored\n```\n",
    );
    let child = sandbox(&["scenario", &path(&folder)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&folder.path().join("begun"));
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("interrupted"),
        "{}",
        text(&output.stderr)
    );
    assert!(folder.path().join("restored").exists() && !folder.path().join("next").exists());
}

/// A standard output that nobody reads any more.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full_disk() -> Stdio {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    full.unwrap().into()
}

#[test]
fn output_that_cannot_be_written_ends_a_command_that_only_shows() {
    for (output, code, error) in [
        (closed_pipe(), 141, ""),
        (
            full_disk(),
            1,
            "error: cannot write to standard output: No space left on device (os error 28)\n",
        ),
    ] {
        let mut command = sandbox(&["scenario", "--list"]);
        let output = command.stdout(output).stderr(Stdio::piped()).spawn();
        let output = output.unwrap().wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), &*text(&output.stderr)),
            (Some(code), error)
        );
    }
}

#[test]
fn errors_that_cannot_be_written_keep_the_exit_code() {
    for errors in [closed_pipe(), full_disk()] {
        let status = sandbox(&["wait", "weather"]).stderr(errors).status();
        assert_eq!(status.unwrap().code(), Some(2));
    }
}

#[test]
fn a_scenario_whose_output_cannot_be_written_still_restores() {
    for (output, code) in [(closed_pipe(), 0), (full_disk(), 1)] {
        let folder = scenario(
            "# Steps\n```sh\ntouch DIR/first\n```\n## Restore\n```sh\ntouch DIR/restored\n```\n",
        );
        let mut command = sandbox(&["scenario", &path(&folder)]);
        let status = command.stdout(output).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(code));
        assert!(folder.path().join("first").exists() && folder.path().join("restored").exists());
    }
}

#[test]
fn an_invalid_readme_is_an_error_with_its_line() {
    let folder = scenario("# Typo\n```sh fail\n```\n");
    let output = run(&["scenario", &path(&folder)]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("README.md: line 2: sh fail:"), "{error}");
}

#[test]
fn wrong_usage_exits_with_2_and_one_line_that_names_what_is_valid() {
    for (arguments, valid) in [
        (&["scenario", "no-such-scenario"][..], "dead-letter"),
        (&["scenario", "--step"], "terminal"),
        (&["wait", "weather"], "weather"),
        (&["expect", "weather"], "weather"),
        (
            &[
                "expect",
                "events",
                "0190a7c2-0000-7000-8000-000000000000",
                "Paid=1",
            ],
            "PaymentSucceeded",
        ),
        (&["wait", "order", "17", "--status", "PAID"], "UUID"),
        (&["wait", "lag"], "--above"),
        (&["wait", "dlq", "payments"], "payments.dlq"),
        (&["order", "--quantity", "0"], "from 1 to 10000"),
        (&["order", "--amount", "1.005"], "two decimals"),
        (&["dlq", "show", "inventory.dlq"], "inventory.dlq/2/17"),
        (&["dlq", "discard", "inventory.dlq"], "--partition"),
        (
            &["dlq", "discard", "inventory.dlq", "--partition", "x"],
            "from 0 to 2147483647",
        ),
    ] {
        let output = run(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(
            error.trim_end().lines().count() == 1 && error.contains(valid),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn every_scenario_of_the_repository_can_be_read() {
    let output = run(&["scenario", "--list", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for name in [
        "dead-letter",
        "happy-path",
        "inventory-failure",
        "payment-failure",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
}
