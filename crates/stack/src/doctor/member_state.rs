//! What keeps an instance from its work, and what a person does about it. A service says it itself, over HTTP.

use std::time::Duration;

use local_runtime::kafka::KAFKA;
use local_runtime::postgres::POSTGRES;
use shared_events::member_api::{ConditionKind, MemberCondition, MemberStats, Source};

use super::finding::Finding;
use crate::layout::Instance;
use crate::process_name;
use crate::readiness_probe::{ProbeResult, probe};

/// The time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Broker and database, if they are known not to run.
pub type Unavailable<'a> = &'a [&'static str];

/// Examines a running instance: a finding for each condition that it reports, else one for its readiness.
pub async fn examine(
    http: &reqwest::Client,
    one: &Instance,
    unavailable: Unavailable<'_>,
) -> Vec<Finding> {
    let name = process_name(one.workload, one.slot);
    let seen = probe(http, &one.url).await;
    let conditions = match one.workload.service() {
        Some(_) => conditions(http, &one.url).await,
        None => Vec::new(),
    };
    let of_conditions = conditions.iter().map(|condition| {
        let found = format!(
            "{} (since {})",
            condition.cause,
            condition.since.format("%H:%M:%S UTC")
        );
        let fix = remedy(condition, one, unavailable);
        match seen.is_ready() {
            true => Finding::warning(&name, found, fix),
            false => Finding::problem(&name, found, fix),
        }
    });
    let mut findings: Vec<Finding> = of_conditions.collect();
    if findings.is_empty() {
        findings.push(readiness(&name, &seen, unavailable));
    }
    findings
}

/// The conditions that a member reports; empty if it does not answer, which its readiness says.
async fn conditions(http: &reqwest::Client, url: &str) -> Vec<MemberCondition> {
    let asked = http.get(format!("{url}/stats")).timeout(TIMEOUT).send();
    match asked.await {
        Ok(answer) => {
            let stats = answer.json::<MemberStats>().await;
            stats.map(|stats| stats.conditions).unwrap_or_default()
        }
        Err(_) => Vec::new(),
    }
}

fn readiness(name: &str, seen: &ProbeResult, unavailable: Unavailable<'_>) -> Finding {
    if seen.is_ready() {
        return Finding::ok(name, seen.to_string());
    }
    let fix = match seen {
        ProbeResult::NoAnswer(_) => format!(
            "./sandbox logs {name}; if it stays silent: ./sandbox kill -9 {name} && ./sandbox up {name}"
        ),
        _ => start_first(unavailable).unwrap_or_else(|| format!("./sandbox logs {name} says more")),
    };
    Finding::problem(name, seen.to_string(), fix)
}

/// Broker and database are started by a person; a service that waits for them then continues without one.
fn start_first(unavailable: Unavailable<'_>) -> Option<String> {
    if unavailable.is_empty() {
        return None;
    }
    let names = unavailable.join(" ");
    Some(format!(
        "./sandbox up {names}; the service then continues by itself"
    ))
}

/// What a person does about a condition. Only a lost connection ends by itself, and only when the other side runs.
fn remedy(condition: &MemberCondition, one: &Instance, unavailable: Unavailable<'_>) -> String {
    let name = process_name(one.workload, one.slot);
    let service = one.workload;
    match condition.kind {
        ConditionKind::LoopEnded => format!("./sandbox logs {name}, then ./sandbox up {name}"),
        ConditionKind::Halted => format!(
            "it stays halted until a person resumes it: repair the cause (./sandbox dlq list, ./sandbox logs {name}), then ./sandbox consumer resume {service}"
        ),
        ConditionKind::BrokerUnreachable if unavailable.contains(&KAFKA) => {
            format!("./sandbox up {KAFKA}; the service then continues by itself")
        }
        ConditionKind::BatchFailing if unavailable.contains(&POSTGRES) => {
            format!("./sandbox up {POSTGRES}; the service then continues by itself")
        }
        ConditionKind::BrokerUnreachable => {
            format!(
                "./sandbox logs {KAFKA} and ./sandbox logs {name}; ./sandbox restart {service} --unset KAFKA_BOOTSTRAP_SERVERS if that was changed"
            )
        }
        ConditionKind::Joining => format!(
            "a rebalance takes seconds; if ./sandbox doctor still shows this after a minute: ./sandbox logs {name}"
        ),
        ConditionKind::TopicMissing => "./sandbox topics create".to_owned(),
        ConditionKind::SilentPartition => format!(
            "./sandbox restart {service}; if that does not help, docs/failure-modes.md, \"What Kafka itself does not guarantee\""
        ),
        ConditionKind::BatchFailing => format!(
            "the batch is retried, and fails until its cause is removed: ./sandbox logs {name} has all of it"
        ),
        ConditionKind::Blocked => format!(
            "it stays blocked: repair the cause, or let the record go to the dead-letter topic: ./sandbox restart {service} --unset POISON_POLICY"
        ),
        ConditionKind::Paused => match condition.source {
            Some(Source::Instance) => format!("./sandbox consumer resume {name}"),
            _ => format!("./sandbox consumer resume {service}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared_events::Service;

    use super::*;

    const ALL: [ConditionKind; 9] = [
        ConditionKind::LoopEnded,
        ConditionKind::Halted,
        ConditionKind::BrokerUnreachable,
        ConditionKind::Joining,
        ConditionKind::TopicMissing,
        ConditionKind::SilentPartition,
        ConditionKind::BatchFailing,
        ConditionKind::Blocked,
        ConditionKind::Paused,
    ];

    fn of(kind: ConditionKind, source: Option<Source>, unavailable: Unavailable<'_>) -> String {
        let condition = MemberCondition {
            kind,
            since: DateTime::UNIX_EPOCH,
            cause: "cause".to_owned(),
            partitions: Vec::new(),
            source,
        };
        let instance = Instance {
            workload: Service::Inventory.into(),
            slot: 2,
            url: String::new(),
        };
        remedy(&condition, &instance, unavailable)
    }

    #[test]
    fn only_a_connection_to_a_server_that_is_down_comes_back_by_itself() {
        for kind in ALL {
            assert!(!of(kind, None, &[]).contains("by itself"), "{kind:?}");
            let with_both_down = of(kind, None, &[KAFKA, POSTGRES]);
            let expected = matches!(
                kind,
                ConditionKind::BrokerUnreachable | ConditionKind::BatchFailing
            );
            assert_eq!(with_both_down.contains("by itself"), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_pause_is_ended_where_it_was_set() {
        let resume = "./sandbox consumer resume inventory-service";
        assert_eq!(of(ConditionKind::Paused, Some(Source::Group), &[]), resume);
        assert_eq!(
            of(ConditionKind::Paused, Some(Source::Instance), &[]),
            format!("{resume}.2")
        );
    }

    #[test]
    fn a_service_without_its_database_needs_a_person_who_starts_it() {
        let missing = ProbeResult::NotReady("database: connection refused".to_owned());
        let fix = |unavailable| {
            readiness("order-service.1", &missing, unavailable)
                .fix
                .unwrap()
        };
        assert_eq!(
            fix(&[POSTGRES]),
            "./sandbox up postgres; the service then continues by itself"
        );
        assert!(!fix(&[]).contains("by itself"));
    }
}
