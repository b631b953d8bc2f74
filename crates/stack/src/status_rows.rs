//! What runs, and what is in the broker, as `status` shows it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use cluster_reader::{Group, Snapshot};
use futures::future::join_all;
use local_runtime::kafka::KAFKA;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::{ProcessRecord, ProcessState};
use local_runtime::prometheus::PROMETHEUS;
use serde::Serialize;
use shared_events::{NamePrefix, Service, Topic};

use crate::services::PORT_LABEL;
use crate::{Stack, ending, process_name, ready};
use crate::lag_view;
use crate::sandbox::Sandbox;
use crate::workload::Workload;

/// One process, as a row of `status`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRow {
    /// `inventory-service.2`, `kafka`, `postgres`, `prometheus`.
    pub name: String,
    /// `running`, `paused` or `ended`.
    pub state: &'static str,
    /// While it lives.
    pub pid: Option<i32>,
    /// Where it answers.
    pub address: Option<String>,
    /// `ready`, `degraded`, `not_ready` or `silent`, of what runs.
    pub readiness: Option<&'static str>,
    /// Why it is not simply ready.
    pub reason: Option<String>,
    /// Seconds since it was started.
    pub uptime_s: Option<u64>,
    /// Resident memory of the process and its children.
    pub rss_bytes: Option<u64>,
    /// How often it was started since the last `down`.
    pub starts: Option<u32>,
    /// How it ended, if it did.
    pub ending: Option<String>,
    /// The last line of its log, if it ended.
    pub last_log_line: Option<String>,
}

impl ProcessRow {
    /// State, readiness and reason in a few words.
    pub fn summary(&self) -> String {
        let what = match (self.state, &self.ending, self.readiness) {
            ("ended", Some(ending), _) => return ending.clone(),
            ("paused", ..) => return "paused".to_owned(),
            (_, _, Some("not_ready")) => "not ready",
            (_, _, Some(word)) => word,
            (state, ..) => state,
        };
        match &self.reason {
            Some(reason) => format!("{what} ({reason})"),
            None => what.to_owned(),
        }
    }
}

/// A row for every process that was started since the last `down`: broker, database, then the services, and Prometheus.
pub async fn process_rows(stack: &Stack<'_>) -> Result<Vec<ProcessRow>> {
    let mut records = Vec::new();
    for name in [KAFKA, POSTGRES] {
        records.extend(stack.processes.record(name)?);
    }
    for workload in Workload::ALL {
        records.extend(stack.known(workload)?.into_iter().map(|one| one.record));
    }
    records.extend(stack.processes.record(PROMETHEUS)?);
    let rows = records.iter().map(|record| row(stack, record));
    join_all(rows).await.into_iter().collect()
}

async fn row(stack: &Stack<'_>, record: &ProcessRecord) -> Result<ProcessRow> {
    let state = stack.processes.state(record)?;
    let lives = !matches!(state, ProcessState::Ended(_));
    let port: Option<u16> = record
        .labels
        .get(PORT_LABEL)
        .and_then(|port| port.parse().ok());
    let url = port.map(|port| stack.sandbox.http_url(port));
    let answer = match (&url, state) {
        (Some(url), ProcessState::Running) => Some(answer(stack, &record.name, url).await?),
        _ => None,
    };
    let address = url.map(|url| match record.name.as_str() {
        KAFKA | POSTGRES => url.trim_start_matches("http://").to_owned(),
        _ => url,
    });
    Ok(ProcessRow {
        name: record.name.clone(),
        state: match state {
            ProcessState::Running => "running",
            ProcessState::Paused => "paused",
            ProcessState::Ended(_) => "ended",
        },
        pid: lives.then_some(record.process.pid),
        address,
        readiness: answer.as_ref().map(ready::Answer::word),
        reason: answer
            .as_ref()
            .and_then(|answer| answer.reason().map(str::to_owned)),
        uptime_s: lives.then(|| uptime(record)),
        rss_bytes: record.process.usage().map(|usage| usage.resident_bytes),
        starts: Some(record.starts),
        ending: match state {
            ProcessState::Ended(code) => Some(ending(code)),
            ProcessState::Running | ProcessState::Paused => None,
        },
        last_log_line: match lives {
            true => None,
            false => stack.processes.last_log_line(&record.name),
        },
    })
}

/// A row for every instance of a service that is found in the network. Of its process, nothing is known.
pub async fn instance_rows(sandbox: &Sandbox) -> Result<Vec<ProcessRow>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut found = Vec::new();
    for workload in Workload::ALL {
        found.extend(sandbox.instances(workload).await?);
    }
    let rows = found.into_iter().map(async |instance| {
        let answer = ready::ask(&http, &instance.url).await;
        ProcessRow {
            name: process_name(instance.workload, instance.slot),
            state: "running",
            pid: None,
            address: Some(instance.url),
            readiness: Some(answer.word()),
            reason: answer.reason().map(str::to_owned),
            uptime_s: None,
            rss_bytes: None,
            starts: None,
            ending: None,
            last_log_line: None,
        }
    });
    Ok(join_all(rows).await)
}

/// One setting of a service that is not the default.
#[derive(Debug, Clone, Serialize)]
pub struct Changed {
    /// Whose.
    pub service: &'static str,
    /// Its environment variable.
    pub name: String,
    /// What it is set to.
    pub value: String,
}

/// What `restart --set` changed.
pub fn changed(stack: &Stack<'_>) -> Result<Vec<Changed>> {
    let memory = stack.memory()?;
    let of = |workload: Workload| {
        let settings = memory.settings(workload).into_iter();
        settings.map(move |(name, value)| Changed {
            service: workload.name(),
            name,
            value,
        })
    };
    Ok(Workload::ALL.into_iter().flat_map(of).collect())
}

async fn answer(stack: &Stack<'_>, name: &str, url: &str) -> Result<ready::Answer> {
    let answers = match name {
        KAFKA => stack.backends()?.kafka.answers().await,
        POSTGRES => stack.sandbox.server().answers().await,
        PROMETHEUS => stack.prometheus().answers().await,
        _ => return Ok(ready::ask(&stack.http, url).await),
    };
    Ok(match answers {
        true => ready::Answer::Ready,
        false => ready::Answer::Silent("does not answer".to_owned()),
    })
}

fn uptime(record: &ProcessRecord) -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    now.saturating_sub(record.started_at_ms) / 1000
}

/// Topics and groups.
#[derive(Debug, Clone, Serialize)]
pub struct Brokerage {
    /// The topics of the shop.
    pub topics: Vec<TopicRow>,
    /// The groups of its services.
    pub groups: Vec<GroupRow>,
}

/// One topic.
#[derive(Debug, Clone, Serialize)]
pub struct TopicRow {
    /// Its name on the broker.
    pub name: String,
    /// The offset that the next record of each partition will get; empty if there is no such topic.
    pub ends: Vec<i64>,
}

/// One group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRow {
    /// Its name on the broker.
    pub name: String,
    /// Kafka's word for it.
    pub state: String,
    /// How many members.
    pub members: usize,
    /// What a `read_committed` consumer would still get, summed over the partitions where that is known.
    pub lag: i64,
    /// The same a partition, `-` where it is not known.
    pub lag_text: String,
}

/// Topics and groups of the shop, out of what the cluster has.
pub fn brokerage(snapshot: &Snapshot, prefix: &NamePrefix) -> Brokerage {
    Brokerage {
        topics: Topic::ALL
            .map(|topic| topic_row(snapshot, prefix.topic(topic)))
            .into(),
        groups: Service::ALL
            .map(|service| group_row(snapshot, prefix, service))
            .into(),
    }
}

fn topic_row(snapshot: &Snapshot, name: String) -> TopicRow {
    let ends = snapshot.topics.get(&name).into_iter().flatten();
    let ends = ends.map(|(_, ends)| ends.high_watermark).collect();
    TopicRow { name, ends }
}

fn group_row(snapshot: &Snapshot, prefix: &NamePrefix, service: Service) -> GroupRow {
    let group = lag_view::of_shop(snapshot, prefix, service);
    GroupRow {
        name: prefix.group(service),
        members: group.members.len(),
        lag: group.known_lag(),
        lag_text: lag_text(&group),
        state: group.state,
    }
}

fn lag_text(group: &Group) -> String {
    let each = group.partitions.values().map(|row| match row.lag {
        Ok(lag) => lag.readable.to_string(),
        Err(_) => "-".to_owned(),
    });
    let each: Vec<String> = each.collect();
    format!("{} ({})", group.known_lag(), each.join(" "))
}
