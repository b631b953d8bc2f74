//! Rules about what the members say. They name the cause of what the other rules see from outside.

use std::collections::BTreeSet;

use super::{MOST_OF_A_KIND, of_group, status_by_lag, time};
use crate::group_health::group_view::GroupView;
use crate::group_health::{ConditionKind, MemberReport, ReportedCondition};
use crate::group_health::{Finding, Rule, Status};
use crate::{LagCount, TopicPartition};

/// The findings from all reports.
pub(super) fn findings(view: &GroupView<'_>) -> Vec<Finding> {
    let conditions = view.members.iter().flat_map(|member| {
        let conditions = member.conditions.iter();
        conditions.map(move |condition| (member, condition))
    });
    let single = conditions.filter_map(|(member, one)| condition(view, member, one));
    let single = single.take(MOST_OF_A_KIND);
    single
        .chain(paused(view))
        .chain(slow_members(view))
        .collect()
}

/// The partitions that make no progress because of what their owner says.
pub(super) fn explained_partitions(view: &GroupView<'_>) -> BTreeSet<TopicPartition> {
    let members = view.members.iter().filter(|member| {
        let mut kinds = member.conditions.iter().map(|one| one.kind);
        kinds.any(|kind| kind != ConditionKind::Joining)
    });
    members
        .flat_map(|one| one.assignment.iter().cloned())
        .collect()
}

/// A condition of one member. A pause is reported once for the group, by [`paused`].
fn condition(
    view: &GroupView<'_>,
    member: &MemberReport,
    condition: &ReportedCondition,
) -> Option<Finding> {
    let is_old = condition.since <= view.stall_cutoff();
    let failing = match is_old {
        true => Status::Critical,
        false => status_by_lag(view),
    };
    let (status, rule) = match condition.kind {
        ConditionKind::LoopEnded | ConditionKind::Halted => (Status::Critical, Rule::Halted),
        ConditionKind::Blocked => (Status::Critical, Rule::Blocked),
        ConditionKind::TopicMissing => (Status::Critical, Rule::TopicMissing),
        ConditionKind::BatchFailing | ConditionKind::SilentPartition => {
            (failing, Rule::BatchFailing)
        }
        ConditionKind::BrokerUnreachable => (failing, Rule::Joining),
        ConditionKind::Joining if is_old => (Status::Warning, Rule::Joining),
        ConditionKind::Joining | ConditionKind::Paused => return None,
    };
    let at = condition.partition.as_ref();
    if at.is_some_and(|at| !view.is_about(&at.topic)) {
        return None;
    }
    // The cause names the partition and the offset.
    let (instance, cause) = (&member.instance, &condition.cause);
    let evidence = format!(
        "{instance}: {cause} (since {})",
        time(view, condition.since)
    );
    Some(Finding {
        partition: condition.partition.clone(),
        offset: condition.offset,
        ..of_group(status, rule, evidence)
    })
}

/// The paused members, as one finding. While no record waits it has the status of a group that
/// keeps up.
fn paused(view: &GroupView<'_>) -> Option<Finding> {
    let paused = view.members.iter().filter_map(|member| {
        let mut conditions = member.conditions.iter();
        let pause = conditions.find(|one| one.kind == ConditionKind::Paused)?;
        Some((member, pause))
    });
    let paused: Vec<_> = paused.collect();
    let (_, first) = paused.first()?;
    let names: Vec<&str> = paused
        .iter()
        .map(|(member, _)| member.instance.as_str())
        .collect();
    let who = match (names.len(), view.members.len()) {
        (1, 1) => format!("the only member that answers, {}, is", names.concat()),
        (some, all) if some == all => format!("all {all} members are"),
        (1, _) => format!("{} is", names.concat()),
        _ => format!("{} are", names.join(", ")),
    };
    let by = first.set_by.map_or_else(String::new, |by| format!(" {by}"));
    let since = paused.iter().map(|(_, pause)| pause.since).min()?;
    let partitions = paused.iter().flat_map(|(member, _)| &member.assignment);
    let partitions: BTreeSet<_> = partitions.collect();
    // A paused member may be assigned nothing: then all records of the group wait for it.
    let waiting = view.partitions().filter(|one| {
        partitions.is_empty() || names.len() == view.members.len() || partitions.contains(one.at)
    });
    let waiting: LagCount = waiting.map(|one| one.waiting()).sum();
    let status = match waiting.lower() {
        0 => Status::Ok,
        _ => status_by_lag(view),
    };
    let evidence = format!(
        "{who} paused{by} since {}; {}",
        time(view, since),
        waiting.records_wait()
    );
    Some(of_group(status, Rule::Paused, evidence))
}

/// Members that are slow by their settings, if so many records wait on their partitions that it
/// matters.
fn slow_members(view: &GroupView<'_>) -> Option<Finding> {
    let slow = view.members.iter().filter_map(|member| {
        let processing = member.processing_time?;
        let owned = view
            .partitions()
            .filter(|one| member.assignment.contains(one.at));
        let owned: Vec<_> = owned.collect();
        let waiting: LagCount = owned.iter().map(|one| one.waiting()).sum();
        let first = owned.into_iter().max_by_key(|one| one.waiting().lower())?;
        (waiting.lower() > 0).then_some((member, processing, first, waiting))
    });
    let mut slow: Vec<_> = slow.collect();
    let of_slow: LagCount = slow.iter().map(|(.., waiting)| *waiting).sum();
    if of_slow.lower() < view.thresholds.warning() {
        return None;
    }
    slow.sort_by_key(|(.., waiting)| std::cmp::Reverse(waiting.lower()));
    let (member, processing, first, waiting) = slow.first()?;
    let each = match processing.batch_max {
        1 => "a record".to_owned(),
        most => format!("a batch of at most {most} records"),
    };
    let since = processing.since.map(|since| time(view, since));
    let since = since.map_or_else(String::new, |since| format!(" since {since}"));
    let more = match slow.len() - 1 {
        0 => String::new(),
        1 => ", and 1 more member is slow, too".to_owned(),
        more => format!(", and {more} more members are slow, too"),
    };
    let evidence = format!(
        "{}: its owner {} works {} ms on {each}, set {}{since}; {} on its partitions{more}",
        first.at,
        member.instance,
        processing.time.as_millis(),
        processing.set_by,
        waiting.records_wait()
    );
    Some(Finding {
        partition: Some(first.at.clone()),
        offset: first.position(),
        ..of_group(status_by_lag(view), Rule::SlowMember, evidence)
    })
}
