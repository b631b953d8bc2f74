//! What keeps a member from its work, for readiness and for `GET /stats`: both show the same list.

use chrono::Utc;
use shared_events::member_api::{ConditionKind, MemberCondition, PartitionOffsets, Source};

use crate::client::Criticality;
use crate::controls::{Health, MemberStatus};
use crate::error_chain::ErrorChain;
use crate::handler::Handler;
use crate::librdkafka::ClientState;
use crate::member::MemberError;
use crate::member::batch_failure::BatchFailure;
use crate::member::consumer_loop::ConsumerLoop;
use crate::member::pause_state::RecordPlace;
use crate::topic_partitions::Partition;

/// Reasons that readiness shows in its one line. `GET /stats` has all.
const SHOWN: usize = 3;

impl<H: Handler> ConsumerLoop<H> {
    /// Reports the member's status to readiness and to its HTTP interface.
    pub(super) fn report_status(&mut self, paused: bool) {
        let before = std::mem::take(&mut self.conditions);
        self.conditions = kept_since(self.conditions_now(), &before);
        // The component `kafka` of readiness reports the broker.
        let is_own = |one: &&MemberCondition| one.kind != ConditionKind::BrokerUnreachable;
        let own: Vec<&MemberCondition> = self.conditions.iter().filter(is_own).collect();
        let health = health(&own, self.settings.criticality);
        let reason = in_one_line(&own);
        match health {
            Health::Unhealthy => self.component.down(reason),
            Health::Degraded => self.component.degraded(reason),
            Health::Healthy => self.component.ready(),
        }
        self.controls.set_status(MemberStatus {
            running: true,
            health,
            paused,
            assigned: self.consumer.assigned(),
            conditions: self.conditions.clone(),
            records_lost: self.records_lost.values().cloned().collect(),
        });
    }

    /// Reports that the loop has ended, with the error that ended it.
    pub(super) fn report_end(&self, error: Option<&MemberError>) {
        let mut status = MemberStatus::default();
        if let Some(error) = error {
            let cause = format!("the consumer has ended: {}", ErrorChain(error));
            self.component.down(cause.as_str());
            status.conditions = vec![condition(ConditionKind::LoopEnded, cause, Vec::new())];
        }
        self.controls.set_status(status);
    }

    /// The conditions of this moment, the gravest first.
    fn conditions_now(&self) -> Vec<MemberCondition> {
        let mut conditions = Vec::new();
        let member = |kind, cause: &str| condition(kind, cause.to_owned(), Vec::new());
        if let Some(halt) = &self.halted {
            let places = halt.place().map(RecordPlace::offsets).into_iter().collect();
            conditions.push(condition(ConditionKind::Halted, halt.to_string(), places));
        }
        if let Some(reason) = self.health.unreachable_reason() {
            let cause = match reason.is_empty() {
                true => "no broker was reached yet".to_owned(),
                false => reason,
            };
            let kind = ConditionKind::BrokerUnreachable;
            conditions.push(condition(kind, cause, Vec::new()));
        }
        if !self.consumer.has_joined() {
            conditions.push(member(
                ConditionKind::Joining,
                "has not joined its group yet",
            ));
        } else if !self.controls.is_group_loaded() {
            conditions.push(member(
                ConditionKind::Joining,
                "has not read its group's settings from sandbox.controls yet",
            ));
        }
        conditions.extend(self.missing_topics());
        if self.consumer.has_silent_partition() {
            conditions.push(member(
                ConditionKind::SilentPartition,
                "the broker does not return the committed offset of a partition: see docs/failure-modes.md",
            ));
        }
        if let Some(BatchFailure {
            cause, partitions, ..
        }) = &self.failure
        {
            let kind = ConditionKind::BatchFailing;
            conditions.push(condition(kind, cause.clone(), partitions.clone()));
        }
        let blocked = self.blocked.values().map(|blocked| {
            let places = vec![blocked.place.offsets()];
            condition(ConditionKind::Blocked, blocked.to_string(), places)
        });
        conditions.extend(blocked);
        conditions.extend(self.blocked_by_failures());
        conditions.extend(self.pause());
        conditions
    }

    /// Replaces a client that has stopped working, or owns a partition that its topic no longer has.
    ///
    /// Only once for the same partitions: a replacement makes the whole group rebalance, and it does not help if the topic watch
    /// is what is out of date, as after partitions were added.
    pub(super) fn replace_if_broken(&mut self) -> Result<ClientState, MemberError> {
        let assigned = self.consumer.assigned();
        let missing = self.topic_watch.missing_partitions(&assigned);
        if !missing.is_empty() && missing != self.replaced_for {
            self.replaced_for = missing;
            return Ok(self.consumer.replace("assigned partition does not exist")?);
        }
        if missing.is_empty() && !assigned.is_empty() {
            self.replaced_for.clear();
        }
        Ok(self.consumer.replace_if_broken()?)
    }

    fn missing_topics(&self) -> Vec<MemberCondition> {
        let names = self.consumer.names();
        let missing = |cause: String| condition(ConditionKind::TopicMissing, cause, Vec::new());
        let topics = self.topic_watch.missing_topics().into_iter().map(|topic| {
            let name = names.name(topic);
            missing(format!(
                "topic {name} does not exist: ./sandbox topics create"
            ))
        });
        let assigned = self.consumer.assigned();
        let partitions = self.topic_watch.missing_partitions(&assigned).into_iter();
        let partitions = partitions.map(|Partition { topic, number }| {
            let name = names.name(topic);
            missing(format!(
                "partition {name}/{number} is assigned and does not exist: the topic was created again with fewer"
            ))
        });
        topics.chain(partitions).collect()
    }

    fn pause(&self) -> Option<MemberCondition> {
        let config = self.controls.effective();
        let cause = match config.sources.paused {
            Source::Group => "paused by its group's record in sandbox.controls",
            Source::Instance => "paused by a request to this instance",
            Source::Default | Source::Environment => "paused",
        };
        let pause = condition(ConditionKind::Paused, cause.to_owned(), Vec::new());
        config.paused.then(|| MemberCondition {
            since: config.since.paused.unwrap_or(pause.since),
            source: Some(config.sources.paused),
            ..pause
        })
    }
}

pub(super) fn condition(
    kind: ConditionKind,
    cause: String,
    partitions: Vec<PartitionOffsets>,
) -> MemberCondition {
    MemberCondition {
        kind,
        since: Utc::now(),
        cause,
        partitions,
        source: None,
    }
}

/// These conditions, each with the time of the same one before. The cause and the offsets of a condition may change while it
/// lasts; a blocked partition is a condition of its own.
fn kept_since(
    mut conditions: Vec<MemberCondition>,
    before: &[MemberCondition],
) -> Vec<MemberCondition> {
    for condition in &mut conditions {
        let same = before.iter().find(|before| is_same(condition, before));
        if let Some(same) = same {
            condition.since = condition.since.min(same.since);
        }
    }
    conditions
}

fn is_same(now: &MemberCondition, before: &MemberCondition) -> bool {
    let is_same_place = match now.kind {
        ConditionKind::Blocked | ConditionKind::Halted => now.partitions == before.partitions,
        ConditionKind::TopicMissing => now.cause == before.cause,
        _ => true,
    };
    now.kind == before.kind && now.source == before.source && is_same_place
}

/// A halted member waits for a person, and a pause is on purpose. From everything else the member recovers by itself.
fn health(conditions: &[&MemberCondition], criticality: Criticality) -> Health {
    let of = |condition: &&MemberCondition| match (condition.kind, criticality) {
        (ConditionKind::Halted | ConditionKind::LoopEnded, _) => Health::Unhealthy,
        (ConditionKind::Paused, _) | (_, Criticality::Optional) => Health::Degraded,
        (_, Criticality::Required) => Health::Unhealthy,
    };
    conditions.iter().map(of).max().unwrap_or(Health::Healthy)
}

fn in_one_line(conditions: &[&MemberCondition]) -> String {
    let shown = conditions.iter().take(SHOWN);
    let mut causes: Vec<String> = shown.map(|condition| condition.cause.clone()).collect();
    if let Some(more) = conditions.len().checked_sub(SHOWN + 1) {
        causes.push(format!("and {} more: GET /stats", more + 1));
    }
    causes.join("; ")
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn blocked(offset: i64) -> MemberCondition {
        let partition = PartitionOffsets {
            topic: "payments".to_owned(),
            partition: 1,
            first: Some(offset),
            last: None,
        };
        condition(
            ConditionKind::Blocked,
            "blocked".to_owned(),
            vec![partition],
        )
    }

    #[test]
    fn a_condition_keeps_its_time_while_only_its_cause_changes() {
        let long_ago = Utc::now() - TimeDelta::minutes(9);
        let earlier = |condition: MemberCondition| MemberCondition {
            since: long_ago,
            ..condition
        };
        let failing =
            |cause: &str| condition(ConditionKind::BatchFailing, cause.to_owned(), Vec::new());
        let before = [earlier(failing("for 3 s")), earlier(blocked(226))];
        let now = kept_since(
            vec![failing("for 9 s"), blocked(226), blocked(227)],
            &before,
        );
        assert_eq!((now[0].since, now[0].cause.as_str()), (long_ago, "for 9 s"));
        assert_eq!(now[1].since, long_ago);
        assert!(now[2].since > long_ago, "another record blocks it");
    }

    #[test]
    fn a_pause_is_degraded_and_a_halt_is_unhealthy() {
        let of = |kind| condition(kind, String::new(), Vec::new());
        let (paused, halted) = (of(ConditionKind::Paused), of(ConditionKind::Halted));
        let missing = of(ConditionKind::TopicMissing);
        let required = |conditions: &[&MemberCondition]| health(conditions, Criticality::Required);
        let optional = |conditions: &[&MemberCondition]| health(conditions, Criticality::Optional);
        assert_eq!(required(&[]), Health::Healthy);
        assert_eq!(required(&[&paused]), Health::Degraded);
        assert_eq!(required(&[&missing, &paused]), Health::Unhealthy);
        assert_eq!(optional(&[&missing, &paused]), Health::Degraded);
        assert_eq!(optional(&[&halted]), Health::Unhealthy);
    }

    #[test]
    fn readiness_names_three_causes_and_counts_the_others() {
        let all: Vec<MemberCondition> = (0..5).map(blocked).collect();
        let line = |count| in_one_line(&all.iter().take(count).collect::<Vec<_>>());
        assert_eq!(line(3), "blocked; blocked; blocked");
        assert_eq!(line(5), "blocked; blocked; blocked; and 2 more: GET /stats");
    }
}
