//! Examines everything that can keep a stack from working: tools, ports, disk, processes, broker and topics.

pub mod finding;
mod member_state;
mod prerequisites;

use std::net::ToSocketAddrs;
use std::time::Duration;

use anyhow::Result;
use kafka_admin::Cluster;
use local_runtime::free_ports;
use local_runtime::kafka::KAFKA;
use local_runtime::process::ProcessState;
use local_runtime::prometheus::PROMETHEUS;
use shared_events::Topic;

pub use finding::{Finding, Severity};

use crate::layout::StackLayout;
use crate::ports::{AssignedPort, CONTAINER_BOOTSTRAP_SERVERS};
use crate::start_plan::StartPlan;
use crate::workload::Workload;
use crate::{Stack, describe_exit};

/// The time limit of the broker's first answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Examines everything that the host can see.
pub async fn examine_host(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    // First, since a full disk causes most of what could follow.
    let mut findings = vec![disk(stack)?];
    findings.extend(prerequisites::tools());
    findings.push(prerequisites::prometheus());
    findings.push(installed(stack));
    findings.extend(port_findings(stack)?);
    findings.push(prerequisites::memory()?);
    findings.extend(unreadable_records(stack)?);
    findings.extend(processes(stack).await?);
    findings.extend(addresses(stack)?);
    if !stack.unavailable_backends()?.contains(&KAFKA) {
        findings.extend(broker(&stack.cluster()?).await);
    }
    Ok(findings)
}

/// Examines what a container can see over the network: broker, topics, and the readiness of each instance.
pub async fn examine_network(layout: &StackLayout) -> Result<Vec<Finding>> {
    let mut findings = broker(&Cluster::new(&layout.kafka())?).await;
    let http = reqwest::Client::builder().no_proxy().build()?;
    for workload in Workload::ALL {
        let running = layout.instances(workload).await?;
        if running.is_empty() {
            let fix = format!("./sandbox up {workload}");
            findings.push(Finding::warning(workload.name(), "does not run", fix));
        }
        for one in &running {
            findings.extend(member_state::examine(&http, one, &[]).await);
        }
    }
    Ok(findings)
}

fn disk(stack: &Stack<'_>) -> Result<Finding> {
    let shortage = match stack.shortage_for(&StartPlan::of_backends(stack))? {
        Some(shortage) => Some(shortage),
        None => stack.disk_shortage()?,
    };
    match shortage {
        Some(shortage) => Ok(Finding::problem(
            "disk",
            shortage,
            "then ./sandbox up starts what has ended",
        )),
        None => prerequisites::disk(stack.state_dir().folder()),
    }
}

/// Files in the place of process records that are none. Every command finds the processes without them.
fn unreadable_records(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let unreadable = stack.processes.unreadable_records()?.into_iter();
    let found = unreadable.map(|what| {
        let fix = "./sandbox up writes it again, from the process that runs";
        Finding::warning("process record", what, fix)
    });
    Ok(found.collect())
}

fn installed(stack: &Stack<'_>) -> Finding {
    let what = "Kafka and PostgreSQL";
    match stack.layout.sources().installed() {
        Ok(found) => Finding::ok(
            what,
            format!(
                "in {} and {}",
                found.kafka_libs.display(),
                found.postgres_bin.display()
            ),
        ),
        Err(why) => Finding::warning(
            what,
            format!("{why:#}"),
            "./sandbox up downloads them, if there is a network",
        ),
    }
}

/// Every port that `up` would need now, and the port of `up --observe`.
fn port_findings(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let settings = stack.layout.settings();
    let first_instances = Workload::ALL.map(|workload| (workload, 1));
    let plan = StartPlan {
        prometheus: true,
        instances: first_instances.to_vec(),
        ..StartPlan::of_backends(stack)
    };
    let alive = stack.alive_processes()?;
    let mut findings = Vec::new();
    for one in plan.assigned_ports(&settings.ports)? {
        let what = format!("port {} for {}", one.port, one.process);
        if alive.contains(&one.process) {
            findings.push(Finding::ok(what, "in use by this stack"));
        } else if free_ports::is_free(settings.bind_addr, one.port) {
            findings.push(Finding::ok(what, "free"));
        } else {
            findings.push(taken_port(stack, what, &one)?);
        }
    }
    Ok(findings)
}

fn taken_port(stack: &Stack<'_>, what: String, port: &AssignedPort) -> Result<Finding> {
    let (holder, end) = match free_ports::holder(port.port)? {
        Some(holder) => (holder.to_string(), holder.how_to_end()),
        None => ("another user's process".to_owned(), "end it".to_owned()),
    };
    let found = format!("taken by {holder}");
    let variable = port.variable;
    let fix = format!("{end}, or choose another port: {variable}=… ./sandbox up");
    // A plain `up` does not need this port, and a Prometheus of the machine may well hold it.
    Ok(
        match port.process == PROMETHEUS && !stack.has_prometheus()? {
            true => Finding::warning(what, found, format!("{fix} --observe")),
            false => Finding::problem(what, found, fix),
        },
    )
}

/// Processes that ended or are paused, and the readiness of those that run.
async fn processes(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let saved = stack.saved_settings()?;
    let mut findings = Vec::new();
    for record in stack.processes.records()? {
        let name = &record.name;
        match stack.processes.state(&record)? {
            ProcessState::Ended(_) if saved.is_killed(name) => {
                findings.push(Finding::warning(
                    name,
                    "was killed on purpose",
                    format!("./sandbox up {name}"),
                ));
            }
            ProcessState::Ended(code) => {
                let last = stack.processes.last_log_line(name).unwrap_or_default();
                let found = format!("{}; its log ends with: {last}", describe_exit(code));
                findings.push(Finding::problem(
                    name,
                    found,
                    format!("./sandbox logs {name}, then ./sandbox up {name}"),
                ));
            }
            ProcessState::Paused => findings.push(Finding::warning(
                name,
                "is paused",
                format!("./sandbox continue {name}"),
            )),
            ProcessState::Running => {}
        }
    }
    let unavailable = stack.unavailable_backends()?;
    for workload in Workload::ALL {
        for one in stack
            .started_instances(workload)?
            .iter()
            .filter(|one| one.state == ProcessState::Running)
        {
            let one = one.instance(stack.layout)?;
            findings.extend(member_state::examine(&stack.http, &one, &unavailable).await);
        }
    }
    Ok(findings)
}

/// Broker addresses in changed settings that this machine cannot resolve.
fn addresses(stack: &Stack<'_>) -> Result<Vec<Finding>> {
    let saved = stack.saved_settings()?;
    let right = stack.layout.kafka().bootstrap_servers;
    let mut findings = Vec::new();
    for workload in Workload::ALL {
        let Some(given) = saved.settings(workload).remove("KAFKA_BOOTSTRAP_SERVERS") else {
            continue;
        };
        for address in given.split(',').map(str::trim) {
            if address.to_socket_addrs().is_err() {
                let found = format!(
                    "KAFKA_BOOTSTRAP_SERVERS={given}: this machine cannot resolve {address}"
                );
                let fix = format!(
                    "{CONTAINER_BOOTSTRAP_SERVERS} is the broker's address inside Docker's network only; services on this machine reach the broker at {right}: \
                     ./sandbox restart {workload} --unset KAFKA_BOOTSTRAP_SERVERS"
                );
                findings.push(Finding::problem(workload.name(), found, fix));
            }
        }
    }
    Ok(findings)
}

/// Broker and topic settings that differ from what the shop needs.
async fn broker(cluster: &Cluster) -> Vec<Finding> {
    match differences(cluster).await {
        Ok(findings) if findings.is_empty() => vec![Finding::ok(
            "broker and topics",
            "set up as the shop needs them",
        )],
        Ok(findings) => findings,
        Err(why) => {
            let fix = "./sandbox logs kafka; if it is stuck: ./sandbox kill -9 kafka && ./sandbox up kafka";
            vec![Finding::problem("broker", format!("{why:#}"), fix)]
        }
    }
}

async fn differences(cluster: &Cluster) -> Result<Vec<Finding>> {
    cluster.ping(TIMEOUT).await?;
    let mut findings = Vec::new();
    for (difference, otherwise) in cluster.broker_differences().await? {
        let found = format!("{difference}: {otherwise}");
        findings.push(Finding::problem(
            "broker",
            found,
            "./sandbox down && ./sandbox up writes the settings again",
        ));
    }
    for topic in Topic::ALL {
        let name = cluster.prefix().topic(topic);
        if cluster.partitions(&name).await? == 0 {
            findings.push(Finding::problem(
                "topics",
                format!("{name} does not exist"),
                "./sandbox topics create",
            ));
            continue;
        }
        for difference in cluster.topic_differences(topic).await? {
            let fix = "if that change was not intended: ./sandbox reset recreates all topics";
            findings.push(Finding::warning(
                "topics",
                format!("{name}: {difference}"),
                fix,
            ));
        }
    }
    Ok(findings)
}
