//! What is remembered until a person acknowledges it: lost records, and topics that were deleted
//! under a group.

use chrono::Utc;
use cluster_reader::group_health::RecordLoss;

use super::{CurrentState, GroupTopic, LagState, MonitorEvent};

/// What was acknowledged.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Each loss with its group.
    pub losses: Vec<(String, RecordLoss)>,
    pub missing_topics: Vec<GroupTopic>,
}

impl Acknowledged {
    fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.missing_topics.is_empty()
    }
}

impl LagState {
    /// Acknowledges the losses of records and the deleted topics for whose group and topic
    /// `is_chosen` is true. The health of the groups and their alerts follow at once.
    pub fn acknowledge(&self, is_chosen: impl Fn(&str, &str) -> bool) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        let mut alerts = Vec::new();
        self.write(|inner| {
            let topics = inner.snapshots.acknowledge_missing_topics(&is_chosen);
            let topics = topics.into_iter();
            acknowledged = Acknowledged {
                losses: inner.snapshots.acknowledge_losses(&is_chosen),
                missing_topics: topics
                    .map(|(group, topic)| GroupTopic { group, topic })
                    .collect(),
            };
            if !acknowledged.is_empty() {
                inner.health = self.health_of_all(inner);
                alerts = inner.alert_changes(Utc::now());
            }
        });
        if !acknowledged.is_empty() {
            self.publish(MonitorEvent::StateChanged, alerts);
        }
        acknowledged
    }
}

impl<'a> CurrentState<'a> {
    /// Every loss that nobody has acknowledged, with its group: also of pairs that are not evaluated
    /// at every poll, and on topics that do not exist any more.
    pub fn losses(&self) -> impl Iterator<Item = (&'a str, RecordLoss)> + use<'a> {
        self.snapshots.all_losses()
    }
}
