//! Actions while a transaction hangs.

use super::group_actions::new;
use super::{Priority, Recommendation};

/// Without `--yes` the command changes nothing.
pub(super) fn resolve_transactions() -> Vec<Recommendation> {
    let resolve = "no consumer reads past a hanging transaction, however many there are; the command shows the recorded outcome, and with --yes it writes the missing markers";
    let list = "a transaction that is only older than its time-out has no recorded outcome: its coordinator must abort it";
    vec![
        new(
            Priority::High,
            "end the hanging transactions with their recorded outcome",
            resolve,
            Some("./sandbox transactions resolve".to_owned()),
        ),
        new(
            Priority::Medium,
            "look at the open transactions",
            list,
            Some("./sandbox transactions list".to_owned()),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use cluster_reader::TopicPartition;
    use cluster_reader::group_health::{GroupHealth, History, Thresholds, assess};
    use cluster_reader::transactions::{OpenTransaction, TransactionStatus};

    use crate::recommend::test_group::{SLOW_GROUP, after, snapshot};
    use crate::recommend::{RecommendContext, Recommendation, recommend};

    fn commands(all: &[Recommendation]) -> Vec<&str> {
        all.iter()
            .filter_map(|one| one.command.as_deref())
            .collect()
    }

    /// The recommendations for a group with 900 waiting records, after a change of the history.
    fn after_change(offsets_hang: bool, change: impl FnOnce(&mut History)) -> Vec<String> {
        let at = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
        let snapshots = || [snapshot(&SLOW_GROUP, at(0)), snapshot(&SLOW_GROUP, at(5))];
        let mut history = History::default();
        snapshots().into_iter().for_each(|one| history.add(one));
        change(&mut history);
        let (group, topic) = (SLOW_GROUP.group, Some(SLOW_GROUP.topic));
        let health = assess(&history, group, topic, Thresholds::default(), &[]);
        let recommended = |context: RecommendContext<'_>, before: &GroupHealth| {
            let context = RecommendContext {
                offsets_hang,
                ..context
            };
            let all = recommend(context, health.as_ref().unwrap_or(before));
            commands(&all).into_iter().map(str::to_owned).collect()
        };
        after(&SLOW_GROUP, snapshots(), &[], recommended)
    }

    const ONLY: [&str; 2] = [
        "./sandbox transactions resolve",
        "./sandbox transactions list",
    ];

    #[test]
    fn more_consumers_are_recommended_while_nothing_hangs() {
        let commands = after_change(false, |_| {});
        assert!(
            commands
                .iter()
                .any(|one| one.starts_with("./sandbox scale"))
        );
        assert!(!commands.iter().any(|one| one.contains("transactions")));
    }

    #[test]
    fn a_transaction_that_hangs_in_the_topic_is_resolved_and_no_consumer_added() {
        let commands = after_change(false, |history| {
            history.set_hanging_transactions(vec![OpenTransaction {
                partition: TopicPartition {
                    topic: SLOW_GROUP.topic.to_owned(),
                    partition: 0,
                },
                producer_id: 7,
                producer_epoch: 0,
                coordinator_epoch: 0,
                start_offset: 310,
                last_write: DateTime::UNIX_EPOCH,
                transactional_id: None,
                status: TransactionStatus::Hanging,
            }]);
        });
        assert_eq!(commands, ONLY);
    }

    #[test]
    fn a_transaction_that_hangs_in_the_committed_offsets_is_resolved_and_no_consumer_added() {
        assert_eq!(after_change(true, |_| {}), ONLY);
    }
}
