//! What an instance of a service says about itself, in `/groups` and on the page.

use std::collections::BTreeMap;

use serde::Serialize;
use shared_events::member_api::{ConditionKind, EffectiveConfig, MemberStats, Source};

use crate::format::{join_sentences, one_line, rfc3339, time};
use crate::instances::InstanceReport;

#[derive(Serialize)]
pub(super) struct InstanceAnswer {
    instance: String,
    /// Whether the instance has answered. Without an answer, the fields after `state` are null.
    answers: bool,
    /// One sentence: what keeps the member from its work, or how it is set.
    state: String,
    asked_at: String,
    owns: Option<BTreeMap<String, Vec<i32>>>,
    config: Option<EffectiveConfig>,
    conditions: Option<Vec<ConditionAnswer>>,
    /// Records that were deleted before this member could read them, since its start, in offsets.
    offsets_lost: Option<u64>,
}

#[derive(Serialize)]
struct ConditionAnswer {
    kind: ConditionKind,
    since: String,
    cause: String,
    /// The source of a pause.
    source: Option<Source>,
}

impl InstanceAnswer {
    pub(super) fn of(report: &InstanceReport) -> Self {
        let stats = report.stats.as_ref().ok();
        let silence = report.silence();
        Self {
            instance: report.instance.clone(),
            answers: stats.is_some(),
            state: silence.or_else(|| stats.map(state)).unwrap_or_default(),
            asked_at: rfc3339(report.asked_at),
            owns: stats.map(|stats| stats.assignment.clone()),
            config: stats.map(|stats| stats.config),
            conditions: stats.map(conditions),
            offsets_lost: stats.map(|stats| {
                let lost = stats.records_lost.iter().map(|one| one.offsets);
                lost.fold(0, u64::saturating_add)
            }),
        }
    }
}

fn conditions(stats: &MemberStats) -> Vec<ConditionAnswer> {
    let conditions = stats.conditions.iter().map(|one| ConditionAnswer {
        kind: one.kind,
        since: rfc3339(one.since),
        cause: one_line(&one.cause),
        source: one.source,
    });
    conditions.collect()
}

/// One sentence for each condition, and for a processing time and lost records.
fn state(stats: &MemberStats) -> String {
    let conditions = stats.conditions.iter().map(|one| {
        let since = time(one.since);
        format!("{} (since {since})", one_line(&one.cause))
    });
    let lost = stats.records_lost.iter().map(|one| {
        let (topic, partition, first, last) = (&one.topic, one.partition, one.first, one.last);
        format!("{topic}[{partition}]: offsets {first} to {last} were deleted before it read them")
    });
    let sentences: Vec<String> = conditions.chain(work(&stats.config)).chain(lost).collect();
    match sentences.is_empty() {
        true => "works".to_owned(),
        false => join_sentences(sentences.into_iter()),
    }
}

/// The simulated work, if there is any.
fn work(config: &EffectiveConfig) -> Option<String> {
    let work = config.processing_time_ms;
    let each = match config.batch_max {
        1 => "a record".to_owned(),
        most => format!("a batch of at most {most} records"),
    };
    let set = match config.sources.processing_time_ms {
        Source::Default => "",
        Source::Environment => ", set by its environment",
        Source::Group => ", set for the group",
        Source::Instance => ", set for itself alone",
    };
    let since = config.since.processing_time_ms;
    let since = since.map_or_else(String::new, |at| format!(" since {}", time(at)));
    (work > 0).then(|| format!("works {work} ms on {each}{set}{since}"))
}
