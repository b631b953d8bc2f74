//! The prerequisites on this machine: programs, disk and memory.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use local_runtime::disk_space::DiskSpace;
use local_runtime::environment;
use local_runtime::prometheus::PROMETHEUS;
use procfs::{Current, Meminfo};

use super::finding::{Finding, Severity};

/// Kafka's jars, PostgreSQL, the services' build and the records of a workshop.
const DISK_NEEDED: u64 = 4 << 30;

/// The broker takes 0.5 GB, and everything else together about as much. A build takes more, but runs before these.
const MEMORY_NEEDED: u64 = 3 << 29;

const JAVA_AT_LEAST: u32 = 17;

/// The programs that the stack is made of. They are examined with the environment in which the stack starts them.
const STACK_TOOLS: [&str; 3] = ["java", "psql", PROMETHEUS];

/// The programs that `./sandbox` calls, the flag that prints their version, and how to install them.
const TOOLS: [(&str, &str, &str); 7] = [
    ("cargo", "--version", "install Rust: https://rustup.rs"),
    ("cc", "--version", "apt-get install gcc"),
    // The configure script of librdkafka, which is C, fails without a C++ compiler.
    ("c++", "--version", "apt-get install g++"),
    ("make", "--version", "apt-get install make"),
    (
        "java",
        "-version",
        "apt-get install openjdk-17-jre-headless (any version from 17 on)",
    ),
    (
        "mvn",
        "--version",
        "apt-get install maven (needed once, to download Kafka and PostgreSQL)",
    ),
    ("psql", "--version", "apt-get install postgresql-client"),
];

/// Examines these programs.
pub fn tools() -> Vec<Finding> {
    TOOLS
        .iter()
        .map(|(name, flag, fix)| tool(name, flag, fix))
        .collect()
}

/// Examines Prometheus, which only `up --observe` needs.
pub fn prometheus() -> Finding {
    let found = tool(
        PROMETHEUS,
        "--version",
        "only ./sandbox up --observe needs it: apt-get install prometheus",
    );
    match found.severity {
        Severity::Problem => Finding {
            severity: Severity::Warning,
            ..found
        },
        Severity::Ok | Severity::Warning => found,
    }
}

fn tool(name: &str, flag: &str, fix: &str) -> Finding {
    let mut command = Command::new(name);
    if STACK_TOOLS.contains(&name) {
        environment::replace(&mut command);
    }
    let Ok(output) = command.arg(flag).output() else {
        return Finding::problem(name, "is missing", fix);
    };
    // java prints its version to standard error.
    let printed = [output.stdout, output.stderr].concat();
    let Some(first) = version_line(&String::from_utf8_lossy(&printed)) else {
        return Finding::problem(name, "prints no version", fix);
    };
    if !output.status.success() {
        return Finding::problem(name, format!("does not start: {first}"), fix);
    }
    if name == "java" && java_version(&first).is_some_and(|version| version < JAVA_AT_LEAST) {
        return Finding::problem(name, format!("{first} is too old"), fix);
    }
    Finding::ok(name, first)
}

/// The first line that is no remark of Java about variables that it reads.
fn version_line(printed: &str) -> Option<String> {
    let mut lines = printed.lines().map(without_colour);
    lines.find(|line| !line.trim().is_empty() && !line.contains("Picked up "))
}

/// Maven colours its version even in a pipe.
fn without_colour(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

/// `openjdk version "17.0.9" …` → 17; before Java 9 it was `"1.8.0"`.
fn java_version(line: &str) -> Option<u32> {
    let version = line.split('"').nth(1)?;
    version.split(['.', '-']).next()?.parse().ok()
}

/// Examines the free space on the disk of this folder.
pub fn disk(folder: &Path) -> Result<Finding> {
    let found = DiskSpace::of(folder)?;
    let free = found.free_bytes;
    let text = format!(
        "{:.1} GB free on {} in {}",
        free as f64 / 1e9,
        found.mounted_at.display(),
        folder.display()
    );
    Ok(match free < DISK_NEEDED {
        true => Finding::warning(
            "disk",
            text,
            "make room for about 4 GB, or let SANDBOX_HOME point to a larger disk",
        ),
        false => Finding::ok("disk", text),
    })
}

/// Examines the available memory.
pub fn memory() -> Result<Finding> {
    let found = Meminfo::current().context("cannot read /proc/meminfo")?;
    let available = found.mem_available.unwrap_or(found.mem_free);
    let text = format!("{:.1} GB available", available as f64 / 1e9);
    Ok(match available < MEMORY_NEEDED {
        true => Finding::warning(
            "memory",
            text,
            "close something: the broker alone takes 0.5 GB",
        ),
        false => Finding::ok("memory", text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_and_the_new_form_of_javas_version_are_read() {
        for (line, version) in [
            ("openjdk version \"17.0.9\" 2023-10-17", Some(17)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("openjdk version \"26-ea\" 2026-03-17", Some(26)),
            ("java version \"1.8.0_392\"", Some(1)),
            ("command not found", None),
        ] {
            assert_eq!(java_version(line), version, "{line}");
        }
    }

    #[test]
    fn a_remark_of_java_is_not_its_version() {
        let printed = "Picked up JAVA_TOOL_OPTIONS: -Dx=\"y\"\nNOTE: Picked up JDK_JAVA_OPTIONS: -Dx\nopenjdk version \"17.0.9\" 2023-10-17\n";
        assert_eq!(
            version_line(printed).as_deref(),
            Some("openjdk version \"17.0.9\" 2023-10-17")
        );
        assert_eq!(version_line("\n"), None);
    }

    #[test]
    fn colours_are_removed_from_a_version() {
        assert_eq!(
            without_colour("\u{1b}[1mApache Maven 3.8.7\u{1b}[m"),
            "Apache Maven 3.8.7"
        );
        assert_eq!(without_colour("plain"), "plain");
    }

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let finding = tool("no-such-tool-anywhere", "--version", "apt-get install it");
        assert_eq!(finding.fix.as_deref(), Some("apt-get install it"));
        assert_eq!(finding.severity, Severity::Problem);
    }
}
