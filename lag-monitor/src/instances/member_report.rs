//! An answer of an instance as `cluster_reader` reads it.

use std::time::Duration;

use cluster_reader::TopicPartition;
use cluster_reader::group_health::{
    ConditionKind, MemberReport, ProcessingTime, ReportedCondition, SetBy,
};
use shared_events::member_api::{self, MemberCondition, MemberStats, Source};

use super::InstanceReport;
use crate::format::one_line;

/// The answers of a group's instances, as far as they have answered.
pub fn member_reports(reports: &[InstanceReport]) -> Vec<MemberReport> {
    let answers = reports.iter().filter_map(|report| {
        let stats = report.stats.as_ref().ok()?;
        Some(member_report(&report.instance, stats))
    });
    answers.collect()
}

fn member_report(instance: &str, stats: &MemberStats) -> MemberReport {
    let partitions = stats.assignment.iter().flat_map(|(topic, numbers)| {
        numbers.iter().map(|partition| TopicPartition {
            topic: topic.clone(),
            partition: *partition,
        })
    });
    MemberReport {
        instance: instance.to_owned(),
        assignment: partitions.collect(),
        conditions: stats.conditions.iter().map(condition).collect(),
        processing_time: processing_time(stats),
    }
}

/// The first partition stands for all: the cause names the others.
fn condition(of: &MemberCondition) -> ReportedCondition {
    let first = of.partitions.first();
    ReportedCondition {
        kind: kind(of.kind),
        since: of.since,
        cause: one_line(&of.cause),
        partition: first.map(|at| TopicPartition {
            topic: at.topic.clone(),
            partition: at.partition,
        }),
        offset: first.and_then(|at| at.first),
        set_by: of.source.map(set_by),
    }
}

fn processing_time(stats: &MemberStats) -> Option<ProcessingTime> {
    let config = &stats.config;
    (config.processing_time_ms > 0).then(|| ProcessingTime {
        time: Duration::from_millis(config.processing_time_ms.into()),
        batch_max: config.batch_max,
        set_by: set_by(config.sources.processing_time_ms),
        since: config.since.processing_time_ms,
    })
}

/// A default is the value of the environment if no variable is set.
const fn set_by(source: Source) -> SetBy {
    match source {
        Source::Default | Source::Environment => SetBy::Environment,
        Source::Group => SetBy::Group,
        Source::Instance => SetBy::Instance,
    }
}

const fn kind(kind: member_api::ConditionKind) -> ConditionKind {
    use member_api::ConditionKind as Kind;
    match kind {
        Kind::LoopEnded => ConditionKind::LoopEnded,
        Kind::Halted => ConditionKind::Halted,
        Kind::BrokerUnreachable => ConditionKind::BrokerUnreachable,
        Kind::Joining => ConditionKind::Joining,
        Kind::TopicMissing => ConditionKind::TopicMissing,
        Kind::SilentPartition => ConditionKind::SilentPartition,
        Kind::BatchFailing => ConditionKind::BatchFailing,
        Kind::Blocked => ConditionKind::Blocked,
        Kind::Paused => ConditionKind::Paused,
    }
}
