//! What can stand in the way of a stack, looked at one thing after the other.

use std::net::ToSocketAddrs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use local_runtime::kafka::KAFKA;
use local_runtime::ports;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::State;
use procfs::{Current, Meminfo};
use shared_events::{Service, Topic};

use super::finding::Finding;
use super::services::Slot;
use super::{Stack, ending, process_name, ready};

/// Kafka's jars, PostgreSQL, the services' build and a workshop's worth of records.
const DISK_NEEDED: u64 = 4 << 30;

/// The broker takes 0.5 GB, all else together about as much; a build takes more, but not at the same time.
const MEMORY_NEEDED: u64 = 3 << 29;

const JAVA_AT_LEAST: u32 = 17;

/// Looks at everything.
pub async fn examine(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let mut findings = tools();
    findings.push(installed(stack));
    findings.extend(ports_of(stack)?);
    findings.push(disk(stack)?);
    findings.push(memory()?);
    findings.extend(processes(stack).await?);
    findings.extend(addresses(stack)?);
    if !stack.away()?.contains(&KAFKA) {
        findings.extend(broker(stack).await);
    }
    Ok(findings)
}

/// The programs that the sandbox calls, how they say their version, and what brings them.
const TOOLS: [(&str, &str, &str); 6] = [
    ("cargo", "--version", "install Rust: https://rustup.rs"),
    ("cc", "--version", "apt-get install gcc"),
    ("make", "--version", "apt-get install make"),
    (
        "java",
        "-version",
        "apt-get install openjdk-17-jre-headless (any version from 17 on)",
    ),
    (
        "mvn",
        "--version",
        "apt-get install maven (needed once, to bring Kafka and PostgreSQL)",
    ),
    ("psql", "--version", "apt-get install postgresql-client"),
];

fn tools() -> Vec<Finding> {
    TOOLS
        .iter()
        .map(|(name, flag, fix)| tool(name, flag, fix))
        .collect()
}

fn tool(name: &str, flag: &str, fix: &str) -> Finding {
    let Ok(output) = Command::new(name).arg(flag).output() else {
        return Finding::bad(name, "is missing", fix);
    };
    // java says its version on standard error.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let first = said.lines().next().map(without_colour);
    let first = first.unwrap_or_else(|| "says nothing about its version".to_owned());
    if name == "java" && java_version(&first).is_some_and(|version| version < JAVA_AT_LEAST) {
        return Finding::bad(name, format!("{first} is too old"), fix);
    }
    Finding::good(name, first)
}

/// Maven colours its version also where nobody sees it.
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

fn installed(stack: &Stack<'_>) -> Finding {
    let what = "Kafka and PostgreSQL";
    match stack.sandbox.sources().installed() {
        Ok(found) => Finding::good(
            what,
            format!(
                "in {} and {}",
                found.kafka_libs.display(),
                found.postgres_bin.display()
            ),
        ),
        Err(why) => Finding::odd(
            what,
            format!("{why:#}"),
            "./sandbox up brings them too, if there is a network",
        ),
    }
}

/// Every port that `up` would need now and that somebody else holds.
fn ports_of(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let settings = stack.sandbox.settings();
    let mut needed = vec![
        (KAFKA.to_owned(), settings.kafka_port, "KAFKA_PORT"),
        (POSTGRES.to_owned(), settings.postgres_port, "POSTGRES_PORT"),
    ];
    for (service, setting) in [
        (Service::Order, "ORDER_PORT"),
        (Service::Payment, "PAYMENT_PORT"),
        (Service::Inventory, "INVENTORY_PORTS"),
    ] {
        let port = stack.sandbox.port(service, 1)?;
        needed.push((process_name(service, 1), port, setting));
    }
    let alive = stack.running()?;
    let mut findings = Vec::new();
    for (name, port, setting) in needed {
        let what = format!("port {port} for {name}");
        if alive.contains(&name) {
            findings.push(Finding::good(what, "held by this stack"));
        } else if ports::is_free(settings.bind_addr, port) {
            findings.push(Finding::good(what, "free"));
        } else {
            let holder = ports::holder(port)?;
            let holder = holder.map_or_else(
                || "another user's process".to_owned(),
                |holder| holder.to_string(),
            );
            let fix = format!("end it, or choose another port: {setting}=… ./sandbox up");
            findings.push(Finding::bad(what, format!("taken by {holder}"), fix));
        }
    }
    Ok(findings)
}

fn disk(stack: &Stack<'_>) -> Result<Finding> {
    let folder: &Path = stack.home().folder();
    let found = nix::sys::statvfs::statvfs(folder)
        .with_context(|| format!("cannot look at the disk of {}", folder.display()))?;
    let free = found.blocks_available() * found.fragment_size();
    let text = format!("{:.1} GB free in {}", free as f64 / 1e9, folder.display());
    Ok(match free < DISK_NEEDED {
        true => Finding::odd(
            "disk",
            text,
            "make room for about 4 GB, or let SANDBOX_HOME point to a larger disk",
        ),
        false => Finding::good("disk", text),
    })
}

fn memory() -> Result<Finding> {
    let found = Meminfo::current().context("cannot read /proc/meminfo")?;
    let available = found.mem_available.unwrap_or(found.mem_free);
    let text = format!("{:.1} GB available", available as f64 / 1e9);
    Ok(match available < MEMORY_NEEDED {
        true => Finding::odd(
            "memory",
            text,
            "close something: the broker alone takes 0.5 GB",
        ),
        false => Finding::good("memory", text),
    })
}

/// Everything that was started and is not as it should be.
async fn processes(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let memory = stack.memory()?;
    let mut findings = Vec::new();
    for record in stack.processes.records()? {
        let name = &record.name;
        match stack.processes.state(&record)? {
            State::Ended(_) if memory.is_killed(name) => {
                findings.push(Finding::odd(
                    name,
                    "was killed on purpose",
                    format!("./sandbox up {name}"),
                ));
            }
            State::Ended(code) => {
                let last = stack.processes.last_log_line(name).unwrap_or_default();
                let found = format!("{}; its log ends with: {last}", ending(code));
                findings.push(Finding::bad(
                    name,
                    found,
                    format!("./sandbox logs {name}, then ./sandbox up {name}"),
                ));
            }
            State::Paused => findings.push(Finding::odd(
                name,
                "is paused",
                format!("./sandbox continue {name}"),
            )),
            State::Running => {}
        }
    }
    for service in Service::ALL {
        for one in stack
            .known(service)?
            .iter()
            .filter(|one| one.state == State::Running)
        {
            findings.push(instance(stack, (service, one.slot)).await?);
        }
    }
    Ok(findings)
}

async fn instance(stack: &Stack<'_>, (service, slot): Slot) -> Result<Finding> {
    let name = process_name(service, slot);
    let answer = ready::ask(&stack.http, &stack.sandbox.url(service, slot)?).await;
    Ok(match answer.is_ready() {
        true => Finding::good(name, answer.to_string()),
        false => {
            let fix = format!("it goes on by itself when that is back; else ./sandbox logs {name}");
            Finding::bad(name, answer.to_string(), fix)
        }
    })
}

/// Broker addresses that services were given, as far as this machine cannot know them.
fn addresses(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let memory = stack.memory()?;
    let right = stack.sandbox.kafka().bootstrap_servers;
    let mut findings = Vec::new();
    for service in Service::ALL {
        let Some(given) = memory.settings(service).remove("KAFKA_BOOTSTRAP_SERVERS") else {
            continue;
        };
        for address in given.split(',').map(str::trim) {
            if address.to_socket_addrs().is_err() {
                let found =
                    format!("KAFKA_BOOTSTRAP_SERVERS={given}: this machine knows no {address}");
                let fix = format!(
                    "kafka:29092 is the broker's address inside Docker's network only; services on this machine reach it at {right}: \
                     ./sandbox restart {service} --unset KAFKA_BOOTSTRAP_SERVERS"
                );
                findings.push(Finding::bad(service.name(), found, fix));
            }
        }
    }
    Ok(findings)
}

/// Broker and topic settings that are not as the shop needs them.
async fn broker(stack: &Stack<'_>) -> Vec<Finding> {
    match differences(stack).await {
        Ok(findings) if findings.is_empty() => vec![Finding::good(
            "broker and topics",
            "set up as the shop needs them",
        )],
        Ok(findings) => findings,
        Err(why) => {
            let fix = "./sandbox logs kafka; if it is stuck: ./sandbox kill -9 kafka && ./sandbox up kafka";
            vec![Finding::bad("broker", format!("{why:#}"), fix)]
        }
    }
}

async fn differences(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let cluster = stack.cluster()?;
    let mut findings = Vec::new();
    for (difference, otherwise) in cluster.broker_differences().await? {
        let found = format!("{difference}: {otherwise}");
        findings.push(Finding::bad(
            "broker",
            found,
            "./sandbox down && ./sandbox up writes its settings anew",
        ));
    }
    for topic in Topic::ALL {
        let name = cluster.prefix().topic(topic);
        if cluster.partitions(&name).await? == 0 {
            findings.push(Finding::bad(
                "topics",
                format!("{name} is not there"),
                "./sandbox topics create",
            ));
            continue;
        }
        for difference in cluster.topic_differences(topic).await? {
            let fix = "if that was not meant: ./sandbox reset makes all topics anew";
            findings.push(Finding::odd("topics", format!("{name}: {difference}"), fix));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_read_in_its_old_and_its_new_form() {
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
    fn colours_are_taken_out_of_a_version() {
        assert_eq!(
            without_colour("\u{1b}[1mApache Maven 3.8.7\u{1b}[m"),
            "Apache Maven 3.8.7"
        );
        assert_eq!(without_colour("plain"), "plain");
    }

    #[test]
    fn a_missing_tool_is_named_with_what_brings_it() {
        let finding = tool("no-such-tool-anywhere", "--version", "apt-get install it");
        assert_eq!(finding.fix.as_deref(), Some("apt-get install it"));
        assert_eq!(finding.verdict, crate::stack::finding::Verdict::Bad);
    }
}
