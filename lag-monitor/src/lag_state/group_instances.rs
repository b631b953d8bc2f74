//! The answers of the instances, by the group whose members they are.

use std::collections::BTreeMap;

use cluster_reader::group_health::{GroupHealth, MemberReport};
use shared_events::NamePrefix;
use shared_events::member_api::{ConditionKind, MemberStats};

use super::GroupTopic;
use crate::format::join_sentences;
use crate::instances::{InstanceReport, member_reports};

/// The answers that were evaluated with one snapshot. A group of another system has none.
#[derive(Debug, Default)]
pub(super) struct GroupInstances(BTreeMap<String, Answers>);

#[derive(Debug, Default)]
struct Answers {
    reports: Vec<InstanceReport>,
    /// Those that have answered, for the assessment.
    members: Vec<MemberReport>,
    /// What the autoscaler of the service has decided last.
    autoscaler: Option<String>,
}

impl GroupInstances {
    pub(super) fn of<'a>(
        reports: impl Iterator<Item = &'a InstanceReport>,
        prefix: &NamePrefix,
    ) -> Self {
        let mut by_group: BTreeMap<String, Answers> = BTreeMap::new();
        for report in reports {
            if let Some(group) = report.group_id(prefix) {
                by_group
                    .entry(group)
                    .or_default()
                    .reports
                    .push(report.clone());
            }
        }
        for answers in by_group.values_mut() {
            answers.members = member_reports(&answers.reports);
        }
        Self(by_group)
    }

    /// Adds a decision of the autoscaler to the evidence of a group.
    pub(super) fn add_autoscaler(&mut self, group: &str, explanation: &str) {
        let answers = self.0.entry(group.to_owned()).or_default();
        answers.autoscaler = Some(format!("autoscaler: {explanation}"));
    }

    pub(super) fn members(&self, group: &str) -> &[MemberReport] {
        self.0.get(group).map_or(&[], |answers| &answers.members)
    }

    /// The groups of which a member says that a topic is missing, with the first topic that it
    /// consumes. The cluster may show no partition of such a group.
    pub(super) fn with_missing_topic(&self) -> impl Iterator<Item = GroupTopic> {
        let groups = self.0.iter();
        groups.filter_map(|(group, answers)| {
            let stats = answers
                .reports
                .iter()
                .filter_map(|one| one.stats.as_ref().ok());
            let is_missing = |stats: &&MemberStats| {
                let mut kinds = stats.conditions.iter().map(|one| one.kind);
                kinds.any(|kind| kind == ConditionKind::TopicMissing)
            };
            let topic = stats
                .filter(is_missing)
                .map(|stats| stats.topic.clone())
                .next()?;
            let group = group.clone();
            Some(GroupTopic { group, topic })
        })
    }

    pub(super) fn reports(&self, group: &str) -> &[InstanceReport] {
        self.0.get(group).map_or(&[], |answers| &answers.reports)
    }

    /// The reason for the status of a group, the instances that do not answer, and what its autoscaler has decided.
    pub(super) fn evidence(&self, group: &str, health: &GroupHealth) -> String {
        let reports = self.reports(group).iter();
        let silent = reports.filter_map(InstanceReport::silence);
        let answers = self.0.get(group);
        let autoscaler = answers.and_then(|answers| answers.autoscaler.clone());
        let reason = std::iter::once(health.evidence().to_owned());
        join_sentences(reason.chain(silent).chain(autoscaler))
    }
}
