//! Starts that fail, and what a person's shell or a damaged file must not change.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::rig::{Ran, Rig};

/// Variables that change what Java, Kafka, PostgreSQL and their tools do, each enough to make a start or a connection fail.
const OF_A_PERSON: [(&str, &str); 12] = [
    ("JAVA_TOOL_OPTIONS", "-Duser.language=tr -Duser.country=TR"),
    ("_JAVA_OPTIONS", "-Xmx1m"),
    ("JDK_JAVA_OPTIONS", "-Xnonsense"),
    ("CLASSPATH", "/nowhere"),
    ("KAFKA_OPTS", "-Xnonsense"),
    ("LC_ALL", "tr_TR.UTF-8"),
    ("TZ", "Asia/Kathmandu"),
    ("PGSSLMODE", "require"),
    ("PGSERVICE", "nowhere"),
    ("PGOPTIONS", "--nonsense=1"),
    ("PGCLIENTENCODING", "nonsense"),
    ("http_proxy", "http://127.0.0.1:1"),
];

/// Runs a command in the shell of such a person.
pub fn of_a_person(rig: &Rig, arguments: &[&str]) -> Ran {
    Ran::of(rig.command(arguments).envs(OF_A_PERSON))
}

#[test]
fn a_failed_up_names_the_cause_and_what_still_runs() {
    let rig = Rig::new();
    let mut up = rig.command(&["up", "--no-build"]);
    let ran = Ran::of(up.env("KAFKA_JVM_PERFORMANCE_OPTS", "-Xnonsense"));
    assert_eq!(ran.code, 1, "{}", ran.errors);
    let last = ran.errors.lines().last().unwrap();
    assert!(
        last.ends_with("Unrecognized option: -Xnonsense"),
        "{}",
        ran.errors
    );
    let running = ran
        .errors
        .lines()
        .find(|line| line.contains("still running: "));
    let running = running.unwrap_or_else(|| panic!("{}", ran.errors));
    assert!(
        running.contains("postgres") && running.contains("./sandbox down"),
        "{running}"
    );

    // A full disk cuts files short. What runs is found without them.
    let postgres = rig.recorded("postgres").unwrap();
    let record = rig.home().join("run/postgres.json");
    let whole = fs::read_to_string(&record).unwrap();
    fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    fs::write(rig.home().join("saved-settings.json"), "{\"sett").unwrap();
    let status = rig.run(&["status"]);
    let first = status.output.lines().next().unwrap();
    assert!(
        first.contains("postgres.json is no process record"),
        "{}",
        status.output
    );
    assert!(
        status.errors.contains("saved-settings.json is damaged"),
        "{}",
        status.errors
    );
    assert_eq!(rig.pid("postgres"), Some(postgres));
    assert_eq!(rig.run(&["doctor"]).code, 1);

    let down = rig.run(&["down", "--reset"]);
    assert_eq!(down.code, 0, "{}", down.errors);
    assert!(
        down.errors
            .contains(&format!("postgres runs as process {postgres}")),
        "{}",
        down.errors
    );
    assert!(!rig.home().exists());
    assert_eq!(
        crate::rig::kernel_state(postgres).filter(|state| *state != 'Z'),
        None
    );
}

#[test]
fn a_port_of_another_stack_is_named_with_its_folder() {
    let shared = Rig::shared();
    let rig = Rig::new();
    let mut up = rig.command(&["up", "--no-build", "kafka"]);
    let ran = Ran::of(up.env("KAFKA_PORT", shared.variable("KAFKA_PORT")));
    assert_eq!(ran.code, 1, "{}", ran.errors);
    let home = shared.home().display();
    assert!(
        ran.errors
            .contains(&format!("kafka of the stack in {home}")),
        "{}",
        ran.errors
    );
    assert!(
        ran.errors
            .contains(&format!("SANDBOX_HOME={home} ./sandbox down")),
        "{}",
        ran.errors
    );
}

#[test]
fn a_folder_that_cannot_hold_a_stack_is_refused_by_every_command() {
    let rig = Rig::new();
    for name in [&b"B\xfcro"[..], b"new\nline", &[b'a'; 200]] {
        let mut home = rig.home().join(OsStr::from_bytes(name));
        if name.len() == 200 {
            home = (0..4).fold(home, |longer, _| longer.join(OsStr::from_bytes(name)));
        }
        for verb in ["up", "status", "down"] {
            let ran = Ran::of(rig.command(&[verb]).env("SANDBOX_HOME", &home));
            assert_eq!(ran.code, 2, "{name:?}: {}", ran.errors);
            assert!(ran.errors.contains("cannot hold a stack"), "{}", ran.errors);
            assert_eq!(ran.errors.lines().count(), 1, "{}", ran.errors);
        }
    }
    assert_eq!(fs::read_dir(rig.home()).unwrap().count(), 0);
}
