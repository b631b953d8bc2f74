//! Actions after records were deleted before the group read them.

use super::group_actions::{GroupActions, all, new};
use super::shell::{is_plain, shell_word};
use super::{Priority, Recommendation};

impl GroupActions<'_> {
    pub(super) fn look_at_loss(&self) -> Vec<Recommendation> {
        let faster = match self.has_cause {
            true => Vec::new(),
            false => self.process_faster(),
        };
        let loss = all([
            self.extend_retention(),
            self.list_stuck_orders(),
            self.acknowledge_loss(),
        ]);
        [loss, faster].concat()
    }

    fn list_stuck_orders(&self) -> Option<Recommendation> {
        self.service?;
        let reason = "the orders of the lost records wait for events that never come";
        let command = Some("./sandbox orders --stuck".to_owned());
        Some(new(
            Priority::Medium,
            "list the orders that are stuck",
            reason,
            command,
        ))
    }

    fn acknowledge_loss(&self) -> Option<Recommendation> {
        let (group, topic) = (self.context.group, self.context.topic);
        let is_plain = is_plain(group) && is_plain(topic);
        let command = is_plain.then(|| {
            format!(
                "curl -fsS -X POST \"$(./sandbox url lag-monitor)/losses/acknowledge?group={group}&topic={topic}\""
            )
        });
        Some(new(
            Priority::Low,
            "acknowledge the loss",
            "the loss is reported until somebody has acknowledged it",
            command,
        ))
    }

    fn extend_retention(&self) -> Option<Recommendation> {
        let reason = "records were deleted before the group consumed them: the retention must be longer than the group is ever behind";
        let command = shell_word(self.context.topic)
            .map(|topic| format!("./sandbox kafka configs --describe --all --entity-type topics --entity-name {topic}"));
        Some(new(
            Priority::High,
            "keep records longer (retention.ms, retention.bytes)",
            reason,
            command,
        ))
    }
}
