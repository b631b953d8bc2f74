//! What can stand in the way of a stack, looked at one thing after the other.

use std::net::ToSocketAddrs;
use std::time::Duration;

use anyhow::Result;
use local_runtime::kafka::KAFKA;
use local_runtime::ports;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::ProcessState;
use local_runtime::prometheus::PROMETHEUS;
use kafka_admin::Cluster;
use shared_events::Topic;

use crate::finding::Finding;
use crate::{Stack, ending, prerequisites, process_name, ready};
use crate::sandbox::{Instance, Sandbox};
use crate::workload::Workload;

/// How long the broker may take for its first answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at everything.
pub async fn examine(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let mut findings = prerequisites::tools();
    findings.push(prerequisites::prometheus());
    findings.push(installed(stack));
    findings.extend(ports_of(stack)?);
    findings.push(prerequisites::disk(stack.home().folder())?);
    findings.push(prerequisites::memory()?);
    findings.extend(processes(stack).await?);
    findings.extend(addresses(stack)?);
    if !stack.away()?.contains(&KAFKA) {
        findings.extend(broker(&stack.cluster()?).await);
    }
    Ok(findings)
}

/// Looks at what can be seen over the network alone: broker, topics, and what each instance says about itself.
pub async fn network(sandbox: &Sandbox) -> Result<Vec<Finding>> {
    let mut findings = broker(&Cluster::new(&sandbox.kafka())?).await;
    let http = reqwest::Client::builder().no_proxy().build()?;
    for workload in Workload::ALL {
        let running = sandbox.instances(workload).await?;
        if running.is_empty() {
            let fix = format!("./sandbox up {workload}");
            findings.push(Finding::odd(workload.name(), "does not run", fix));
        }
        for one in &running {
            findings.push(instance(&http, one).await);
        }
    }
    Ok(findings)
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

/// Every port that `up` would need now, and the one of `up --observe`.
fn ports_of(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let settings = stack.sandbox.settings();
    let mut needed = vec![
        (KAFKA.to_owned(), settings.kafka_port, "KAFKA_PORT"),
        (POSTGRES.to_owned(), settings.postgres_port, "POSTGRES_PORT"),
    ];
    for workload in Workload::ALL {
        let port = stack.sandbox.port(workload, 1)?;
        needed.push((process_name(workload, 1), port, workload.port_setting()));
    }
    let observed = (
        PROMETHEUS.to_owned(),
        settings.prometheus_port,
        "PROMETHEUS_PORT",
    );
    needed.push(observed);
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
            let found = format!("taken by {holder}");
            // A plain `up` does without it: the machine's own Prometheus may well be there.
            findings.push(match name == PROMETHEUS && !stack.is_observed()? {
                true => Finding::odd(what, found, format!("{fix} --observe")),
                false => Finding::bad(what, found, fix),
            });
        }
    }
    Ok(findings)
}

/// Everything that was started and is not as it should be.
async fn processes(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let memory = stack.memory()?;
    let mut findings = Vec::new();
    for record in stack.processes.records()? {
        let name = &record.name;
        match stack.processes.state(&record)? {
            ProcessState::Ended(_) if memory.is_killed(name) => {
                findings.push(Finding::odd(
                    name,
                    "was killed on purpose",
                    format!("./sandbox up {name}"),
                ));
            }
            ProcessState::Ended(code) => {
                let last = stack.processes.last_log_line(name).unwrap_or_default();
                let found = format!("{}; its log ends with: {last}", ending(code));
                findings.push(Finding::bad(
                    name,
                    found,
                    format!("./sandbox logs {name}, then ./sandbox up {name}"),
                ));
            }
            ProcessState::Paused => findings.push(Finding::odd(
                name,
                "is paused",
                format!("./sandbox continue {name}"),
            )),
            ProcessState::Running => {}
        }
    }
    for workload in Workload::ALL {
        for one in stack
            .known(workload)?
            .iter()
            .filter(|one| one.state == ProcessState::Running)
        {
            findings.push(instance(&stack.http, &one.instance(stack.sandbox)?).await);
        }
    }
    Ok(findings)
}

async fn instance(http: &reqwest::Client, one: &Instance) -> Finding {
    let name = process_name(one.workload, one.slot);
    let answer = ready::ask(http, &one.url).await;
    match answer.is_ready() {
        true => Finding::good(name, answer.to_string()),
        false => {
            let fix = format!("it goes on by itself when that is back; else ./sandbox logs {name}");
            Finding::bad(name, answer.to_string(), fix)
        }
    }
}

/// Broker addresses that services were given, as far as this machine cannot know them.
fn addresses(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let memory = stack.memory()?;
    let right = stack.sandbox.kafka().bootstrap_servers;
    let mut findings = Vec::new();
    for workload in Workload::ALL {
        let Some(given) = memory.settings(workload).remove("KAFKA_BOOTSTRAP_SERVERS") else {
            continue;
        };
        for address in given.split(',').map(str::trim) {
            if address.to_socket_addrs().is_err() {
                let found =
                    format!("KAFKA_BOOTSTRAP_SERVERS={given}: this machine knows no {address}");
                let fix = format!(
                    "kafka:29092 is the broker's address inside Docker's network only; services on this machine reach it at {right}: \
                     ./sandbox restart {workload} --unset KAFKA_BOOTSTRAP_SERVERS"
                );
                findings.push(Finding::bad(workload.name(), found, fix));
            }
        }
    }
    Ok(findings)
}

/// Broker and topic settings that are not as the shop needs them.
async fn broker(cluster: &Cluster) -> Vec<Finding> {
    match differences(cluster).await {
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

async fn differences(cluster: &Cluster) -> Result<Vec<Finding>> {
    cluster.answers(PATIENCE).await?;
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
