//! The rows of `status`: processes and changed settings here, topics and groups in [`broker`], what the members report about
//! themselves in [`members`], stuck orders in [`stuck_orders`].

pub mod broker;
pub mod members;
pub mod stuck_orders;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use futures::future::join_all;
use local_runtime::kafka::{self, Node};
use local_runtime::postgres::POSTGRES;
use local_runtime::process::{ProcessRecord, ProcessState};
use local_runtime::prometheus::PROMETHEUS;
use serde::Serialize;

use crate::instances::PORT_LABEL;
use crate::layout::StackLayout;
use crate::readiness_probe::{ProbeResult, probe};
use crate::workload::Workload;
use crate::{Stack, describe_exit, process_name};

/// One process, as a row of `status`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRow {
    /// `inventory-service.2`, `kafka`, `postgres`, `prometheus`.
    pub name: String,
    /// `running`, `paused` or `ended`.
    pub state: &'static str,
    /// The process id, while the process is alive.
    pub pid: Option<i32>,
    /// The URL; host and port of broker and database.
    pub address: Option<String>,
    /// The readiness of a running process; see [`ProbeResult::word`].
    pub readiness: Option<&'static str>,
    /// Why the process is not ready.
    pub reason: Option<String>,
    /// Seconds since the start.
    pub uptime_s: Option<u64>,
    /// Resident memory of the process and its children.
    pub rss_bytes: Option<u64>,
    /// The number of starts since the last `down`.
    pub starts: Option<u32>,
    /// How the process ended, if it did.
    pub ending: Option<String>,
    /// The last line of the log, if the process ended.
    pub last_log_line: Option<String>,
}

impl ProcessRow {
    /// Whether the process has answered its readiness probe, ready or not.
    pub fn answers(&self) -> bool {
        self.readiness.is_some_and(|word| word != "silent")
    }

    /// State and readiness in a few words. The reason is a sentence of its own.
    pub fn summary(&self) -> &str {
        match (self.state, &self.ending, self.readiness) {
            ("ended", Some(ending), _) => ending,
            ("paused", ..) => "paused",
            (_, _, Some("not_ready")) => "not ready",
            (_, _, Some(word)) => word,
            (state, ..) => state,
        }
    }
}

/// A row for every process that was started since the last `down`: broker, database, services, tools, Prometheus.
pub async fn process_rows(stack: &Stack<'_>) -> Result<Vec<ProcessRow>> {
    let mut records = Vec::new();
    for node in stack.layout.brokers() {
        records.extend(stack.processes.record(&node.name())?);
    }
    records.extend(stack.processes.record(POSTGRES)?);
    for workload in Workload::KNOWN {
        records.extend(
            stack
                .started_instances(workload)?
                .into_iter()
                .map(|one| one.record),
        );
    }
    records.extend(stack.processes.record(PROMETHEUS)?);
    let rows = records.iter().map(|record| row(stack, record));
    join_all(rows).await.into_iter().collect()
}

async fn row(stack: &Stack<'_>, record: &ProcessRecord) -> Result<ProcessRow> {
    let state = stack.processes.state(record)?;
    let alive = !matches!(state, ProcessState::Ended(_));
    let port: Option<u16> = record
        .labels
        .get(PORT_LABEL)
        .and_then(|port| port.parse().ok());
    let url = port.map(|port| stack.layout.http_url(port));
    let probed = match (&url, state) {
        (Some(url), ProcessState::Running) => Some(probe_process(stack, &record.name, url).await?),
        _ => None,
    };
    let address = url.map(|url| match record.name.as_str() {
        POSTGRES => url.trim_start_matches("http://").to_owned(),
        broker if Node::is_name(broker) => url.trim_start_matches("http://").to_owned(),
        _ => url,
    });
    Ok(ProcessRow {
        name: record.name.clone(),
        state: match state {
            ProcessState::Running => "running",
            ProcessState::Paused => "paused",
            ProcessState::Ended(_) => "ended",
        },
        pid: alive.then_some(record.process.pid),
        address,
        readiness: probed.as_ref().map(ProbeResult::word),
        reason: probed
            .as_ref()
            .and_then(|seen| seen.reason().map(str::to_owned)),
        uptime_s: alive.then(|| uptime(record)),
        rss_bytes: record.process.usage().map(|usage| usage.resident_bytes),
        starts: Some(record.starts),
        ending: match state {
            ProcessState::Ended(code) => Some(describe_exit(code)),
            ProcessState::Running | ProcessState::Paused => None,
        },
        last_log_line: match alive {
            true => None,
            false => stack.processes.last_log_line(&record.name),
        },
    })
}

/// A row for every instance that DNS finds in the network. Its process cannot be seen.
pub async fn instance_rows(layout: &StackLayout) -> Result<Vec<ProcessRow>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut found = Vec::new();
    for workload in Workload::KNOWN {
        found.extend(layout.instances(workload).await?);
    }
    let rows = found.into_iter().map(async |instance| {
        let seen = probe(&http, &instance.url).await;
        ProcessRow {
            name: process_name(instance.workload, instance.slot),
            state: "running",
            pid: None,
            address: Some(instance.url),
            readiness: Some(seen.word()),
            reason: seen.reason().map(str::to_owned),
            uptime_s: None,
            rss_bytes: None,
            starts: None,
            ending: None,
            last_log_line: None,
        }
    });
    Ok(join_all(rows).await)
}

/// One setting that differs from its default.
#[derive(Debug, Clone, Serialize)]
pub struct ChangedSetting {
    /// The service or tool.
    pub service: &'static str,
    /// The environment variable.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The settings that `restart --set` changed.
pub fn changed_settings(stack: &Stack<'_>) -> Result<Vec<ChangedSetting>> {
    let saved = stack.saved_settings()?;
    let of = |workload: Workload| {
        let settings = saved.settings(workload).into_iter();
        settings.map(move |(name, value)| ChangedSetting {
            service: workload.name(),
            name,
            value,
        })
    };
    Ok(Workload::KNOWN.into_iter().flat_map(of).collect())
}

async fn probe_process(stack: &Stack<'_>, name: &str, url: &str) -> Result<ProbeResult> {
    let answers = match name {
        broker if Node::is_name(broker) => match url.trim_start_matches("http://").parse() {
            Ok(address) => kafka::answers(address).await,
            Err(_) => false,
        },
        POSTGRES => stack.layout.postgres_server().answers().await,
        PROMETHEUS => stack.prometheus().answers().await,
        _ => return Ok(probe(&stack.http, url).await),
    };
    Ok(match answers {
        true => ProbeResult::Ready,
        false => ProbeResult::NoAnswer("does not answer".to_owned()),
    })
}

fn uptime(record: &ProcessRecord) -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    now.saturating_sub(record.started_at_ms) / 1000
}
