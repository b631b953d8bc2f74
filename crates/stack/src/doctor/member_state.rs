//! What keeps an instance from its work, and what a person does about it. A service says it itself, over HTTP.

use std::time::Duration;

use local_runtime::kafka::KAFKA;
use shared_events::member_api::{ConditionKind, MemberCondition, MemberStats, Source};

use super::finding::Finding;
use crate::layout::Instance;
use crate::process_name;
use crate::readiness_probe::{ProbeResult, probe};

/// The time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Broker and database, if they are known not to run.
pub type Unavailable<'a> = &'a [&'static str];

/// Examines a running instance. One that is not ready is one problem, with everything that a person does about it; a ready one
/// has a warning for each condition that it reports.
pub async fn examine(
    http: &reqwest::Client,
    one: &Instance,
    unavailable: Unavailable<'_>,
) -> Vec<Finding> {
    let seen = probe(http, &one.url).await;
    let conditions = match one.workload.service() {
        Some(_) => conditions(http, &one.url).await,
        None => Vec::new(),
    };
    findings(one, &seen, &conditions, unavailable)
}

fn findings(
    one: &Instance,
    seen: &ProbeResult,
    conditions: &[MemberCondition],
    unavailable: Unavailable<'_>,
) -> Vec<Finding> {
    let name = process_name(one.workload, one.slot);
    if !seen.is_ready() {
        let fix = fixes(one, seen, conditions, unavailable).join("; ");
        return vec![Finding::problem(name, seen.to_string(), fix)];
    }
    if conditions.is_empty() {
        return vec![Finding::ok(name, seen.to_string())];
    }
    let warnings = conditions.iter().map(|condition| {
        let since = condition.since.format("%H:%M:%S UTC");
        let found = format!("{} (since {since})", condition.cause);
        Finding::warning(&name, found, remedy(condition, one))
    });
    warnings.collect()
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

/// What a person does about an instance that is not ready. A server that is down comes first.
fn fixes(
    one: &Instance,
    seen: &ProbeResult,
    conditions: &[MemberCondition],
    unavailable: Unavailable<'_>,
) -> Vec<String> {
    let name = process_name(one.workload, one.slot);
    if matches!(seen, ProbeResult::NoAnswer(_)) {
        return vec![format!(
            "./sandbox logs {name}; if it stays silent: ./sandbox kill -9 {name} && ./sandbox up {name}"
        )];
    }
    let mut fixes = Vec::new();
    if !unavailable.is_empty() {
        let names = unavailable.join(" ");
        fixes.push(format!(
            "./sandbox up {names}, and the service continues by itself"
        ));
    }
    let others = conditions
        .iter()
        .filter(|condition| !is_outage(condition.kind, unavailable));
    fixes.extend(others.map(|condition| remedy(condition, one)));
    if fixes.is_empty() {
        fixes.push(format!("./sandbox logs {name} says more"));
    }
    fixes.dedup();
    fixes
}

/// Whether the condition ends when the server that is down has been started.
fn is_outage(kind: ConditionKind, unavailable: Unavailable<'_>) -> bool {
    match kind {
        ConditionKind::BrokerUnreachable
        | ConditionKind::Joining
        | ConditionKind::SilentPartition => unavailable.contains(&KAFKA),
        ConditionKind::BatchFailing => !unavailable.is_empty(),
        ConditionKind::LoopEnded
        | ConditionKind::Halted
        | ConditionKind::TopicMissing
        | ConditionKind::Blocked
        | ConditionKind::Paused => false,
    }
}

/// What a person does about a condition while broker and database run.
fn remedy(condition: &MemberCondition, one: &Instance) -> String {
    let name = process_name(one.workload, one.slot);
    let service = one.workload;
    match condition.kind {
        ConditionKind::LoopEnded => format!("./sandbox logs {name}, then ./sandbox up {name}"),
        ConditionKind::Halted => format!(
            "it stays halted until a person resumes it: repair the cause (./sandbox dlq list, ./sandbox logs {name}), then ./sandbox consumer resume {service}"
        ),
        ConditionKind::BrokerUnreachable => format!(
            "./sandbox logs {KAFKA} and ./sandbox logs {name}; if the address of the broker was changed: ./sandbox restart {service} --unset KAFKA_BOOTSTRAP_SERVERS"
        ),
        ConditionKind::Joining => format!(
            "a rebalance takes seconds; if ./sandbox doctor still shows this after a minute: ./sandbox logs {name}"
        ),
        ConditionKind::TopicMissing => "./sandbox topics create".to_owned(),
        ConditionKind::SilentPartition => format!(
            "./sandbox restart {service}; if that does not help: ./sandbox transactions list"
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
    use local_runtime::postgres::POSTGRES;
    use shared_events::Service;

    use super::*;
    use crate::doctor::Severity;

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

    fn condition(kind: ConditionKind, source: Option<Source>) -> MemberCondition {
        MemberCondition {
            kind,
            since: DateTime::UNIX_EPOCH,
            cause: "cause".to_owned(),
            partitions: Vec::new(),
            source,
        }
    }

    fn instance() -> Instance {
        Instance {
            workload: Service::Inventory.into(),
            slot: 2,
            url: String::new(),
        }
    }

    fn fix(conditions: &[MemberCondition], unavailable: Unavailable<'_>) -> String {
        let seen = ProbeResult::NotReady("consumer: cause".to_owned());
        let findings = findings(&instance(), &seen, conditions, unavailable);
        let [problem] = findings.as_slice() else {
            panic!("{findings:?}")
        };
        assert_eq!(problem.severity, Severity::Problem);
        assert_eq!(problem.found, "not ready (consumer: cause)");
        problem.fix.clone().unwrap()
    }

    #[test]
    fn doctor_says_that_a_service_continues_by_itself_only_of_a_server_that_is_down() {
        let up = "./sandbox up kafka postgres, and the service continues by itself";
        for kind in ALL {
            let one = [condition(kind, None)];
            assert!(!fix(&one, &[]).contains("by itself"), "{kind:?}");
            let both = fix(&one, &[KAFKA, POSTGRES]);
            let more = both.strip_prefix(up).unwrap();
            assert_eq!(
                more.is_empty(),
                is_outage(kind, &[KAFKA, POSTGRES]),
                "{kind:?}: {more}"
            );
        }
        let halted = [condition(ConditionKind::Halted, None)];
        assert!(
            fix(&halted, &[KAFKA]).contains("./sandbox consumer resume inventory-service"),
            "a halted member needs a person, too"
        );
        assert_eq!(
            fix(&[], &[]),
            "./sandbox logs inventory-service.2 says more"
        );
    }

    #[test]
    fn a_pause_of_a_ready_instance_is_a_warning_that_says_where_it_is_ended() {
        let resume = "./sandbox consumer resume inventory-service";
        for (source, command) in [
            (Source::Group, resume.to_owned()),
            (Source::Instance, format!("{resume}.2")),
        ] {
            let paused = [condition(ConditionKind::Paused, Some(source))];
            let findings = findings(&instance(), &ProbeResult::Ready, &paused, &[]);
            let [warning] = findings.as_slice() else {
                panic!("{findings:?}")
            };
            assert_eq!(warning.severity, Severity::Warning);
            assert_eq!(warning.found, "cause (since 00:00:00 UTC)");
            assert_eq!(warning.fix.as_deref(), Some(command.as_str()));
        }
    }
}
