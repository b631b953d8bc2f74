//! The rules, one function each.

mod backlog;
mod members;
mod offsets;
pub(super) mod stalled;
mod transactions;

use chrono::{DateTime, TimeDelta, Utc};

use super::group_view::{GroupView, PartitionView};
use super::{Finding, Rule, Status};
use crate::LagCount;
use stalled::GroupProgress;

/// The most findings of one rule. Further partitions have the same problem.
const MOST_OF_A_KIND: usize = 10;

/// The findings of all rules that apply; never empty.
pub(super) fn findings(view: &GroupView<'_>, progress: &GroupProgress<'_>) -> Vec<Finding> {
    let mut findings = transactions::findings(view);
    let hanging = findings.iter().filter_map(|one| one.partition.clone());
    let mut explained = members::explained_partitions(view);
    explained.extend(hanging);
    findings.extend(members::findings(view));
    findings.extend(missing_topics(view));
    findings.extend(no_members(view));
    let mut progress = progress.findings();
    // The cause is known.
    progress.retain(|one| {
        one.partition
            .as_ref()
            .is_none_or(|at| !explained.contains(at))
    });
    findings.extend(progress);
    findings.extend(offsets::findings(view));
    findings.extend(backlog::findings(view));
    findings.extend(more_consumers_than_partitions(view));
    findings.extend(not_known(view));
    if findings.is_empty() {
        findings.push(keeps_up(view));
    }
    findings
}

fn no_members(view: &GroupView<'_>) -> Option<Finding> {
    let waiting = view.total.filter(|total| total.lower() > 0)?;
    let state = &view.group.state;
    let waiting = waiting.records_wait();
    if !view.group.members.is_empty() {
        return None;
    }
    let (status, evidence) = match view.is_scaled_to_zero {
        true => (
            Status::Ok,
            format!(
                "{waiting} and the group has no member: it is scaled to 0, and its autoscaler starts some"
            ),
        ),
        false => (
            Status::Critical,
            format!("{waiting} and the group has no member (state {state})"),
        ),
    };
    Some(of_group(status, Rule::NoMembers, evidence))
}

/// A topic that was deleted while the group was reading it.
fn missing_topics(view: &GroupView<'_>) -> Vec<Finding> {
    let missing = view.missing_topics.iter().take(MOST_OF_A_KIND);
    let finding = |(topic, seen): &(&str, DateTime<Utc>)| {
        let seen = time(view, *seen);
        let evidence = format!(
            "topic {topic} does not exist any more; the group was reading it, and it was last seen at {seen}"
        );
        of_group(Status::Critical, Rule::TopicMissing, evidence)
    };
    missing.map(finding).collect()
}

/// Applies in the state `Stable` only: during a rebalance a member may briefly own no partition.
fn more_consumers_than_partitions(view: &GroupView<'_>) -> Option<Finding> {
    let members = &view.group.members;
    let owned: usize = members.iter().map(|member| member.assignment.len()).sum();
    let idle = members.iter().filter(|member| member.assignment.is_empty());
    let idle = idle.count();
    let is_excess = view.group.state == "Stable" && idle > 0 && owned > 0 && members.len() > owned;
    is_excess.then(|| {
        let evidence = format!(
            "{} members share {owned} partitions: {idle} of them own none and are idle",
            members.len()
        );
        of_group(Status::Warning, Rule::MoreConsumersThanPartitions, evidence)
    })
}

fn not_known(view: &GroupView<'_>) -> Option<Finding> {
    let finding = |evidence: String| of_group(Status::Unknown, Rule::NotKnown, evidence);
    let mut unknown = view.partitions().filter(PartitionView::is_unknown);
    if let Some(first) = unknown.next() {
        let reason = first.row.lag.err();
        let reason = reason.map_or_else(String::new, |one| one.to_string());
        let more = match unknown.count() {
            0 => String::new(),
            more => format!(", and {more} more partitions"),
        };
        return Some(finding(format!("{}: {reason}{more}", first.at)));
    }
    let is_empty = view.partitions().next().is_none() && view.missing_topics.is_empty();
    is_empty
        .then(|| finding("the group has no committed offset and no assigned partition".to_owned()))
}

fn keeps_up(view: &GroupView<'_>) -> Finding {
    let lags = view.partitions().filter_map(|one| one.lag());
    let oldest = lags.filter_map(|lag| lag.oldest_unread).min();
    let evidence = match (view.total.unwrap_or_default(), oldest) {
        (LagCount::ZERO, _) if view.group.members.is_empty() => match view.is_scaled_to_zero {
            true => "caught up; the group has no member, because it is scaled to 0 on purpose"
                .to_owned(),
            false => "caught up; the group has no member".to_owned(),
        },
        (LagCount::ZERO, _) => "caught up".to_owned(),
        (total, Some(oldest)) if oldest <= view.now => {
            let age = (view.now - oldest).as_seconds_f64();
            format!("{}, the oldest for {age:.1} s", total.records_wait())
        }
        (total, _) => total.records_wait(),
    };
    of_group(Status::Ok, Rule::KeepsUp, evidence)
}

/// A finding about the group, without a partition.
fn of_group(status: Status, rule: Rule, evidence: String) -> Finding {
    Finding {
        status,
        rule,
        partition: None,
        offset: None,
        evidence,
    }
}

fn of_partition(
    partition: &PartitionView<'_>,
    status: Status,
    rule: Rule,
    evidence: String,
) -> Finding {
    Finding {
        status,
        rule,
        partition: Some(partition.at.clone()),
        offset: partition.position(),
        evidence,
    }
}

/// A time in evidence; with its date, unless that is the date of the last reading.
fn time(view: &GroupView<'_>, at: DateTime<Utc>) -> String {
    let format = match at.date_naive() == view.now.date_naive() {
        true => "%H:%M:%S UTC",
        false => "%Y-%m-%d %H:%M:%S UTC",
    };
    at.format(format).to_string()
}

/// A cause is critical if the lag that it has led to is.
fn status_by_lag(view: &GroupView<'_>) -> Status {
    let critical = view.thresholds.critical();
    if view.total.is_some_and(|total| total.lower() >= critical) {
        Status::Critical
    } else {
        Status::Warning
    }
}

fn duration(time: TimeDelta) -> String {
    match time.num_seconds() {
        seconds @ ..=119 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
