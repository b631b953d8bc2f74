//! Each rule has cases in which it applies and cases in which it must not, at poll intervals of
//! 1, 5 and 20 seconds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod health_fields;
mod loss_cases;
mod member_cases;
mod offset_cases;
mod progress_cases;
mod simulated_group;

use Rule::*;
use Status::{Critical, Ok, Unknown, Warning};
use offset_cases::*;
use progress_cases::*;
use simulated_group::{ORDERS, PAYMENTS, SimulatedGroup};

use super::*;

/// A description, the history of the group at a poll interval, the topic that is assessed, and the
/// expected status, rule and words of the evidence.
type Case = (
    &'static str,
    fn(i64) -> SimulatedGroup,
    Option<&'static str>,
    Status,
    Rule,
    &'static [&'static str],
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("caught up for an hour", caught_up, None, Ok, KeepsUp, &["caught up"]),
    ("caught up, without members", empty_caught_up, None, Ok, KeepsUp, &["caught up", "no member"]),
    ("a few records wait", a_few, None, Ok, KeepsUp, &["6 records wait", "the oldest for 2.0 s"]),
    ("members have died", died, None, Critical, NoMembers, &["6 records wait", "Empty"]),
    ("nothing committed", stopped, None, Critical, Stopped, &["150 records", "1", "payments[0]", "offset 10"]),
    ("a rebalance that does not end", rebalancing, None, Critical, Stopped, &["PreparingRebalance"]),
    ("a new backlog, not read yet", fresh_backlog, None, Critical, AboveCritical, &["5000 records", "500"]),
    ("a new backlog, being drained", drained, None, Critical, AboveCritical, &["records wait"]),
    ("30 s a message, partitions in turn", slow_in_turn, None, Warning, AboveWarning, &[]),
    ("30 s a message, one partition first", slow_in_sequence, None, Warning, AboveWarning, &[]),
    ("30 s a message, the last of three", slow_and_last, None, Ok, KeepsUp, &["1 record waits"]),
    ("a slow member, and one that keeps up", slow_beside_a_fast_member, None, Warning, AboveWarning, &[]),
    ("a member that reads another topic first", slow_on_another_topic, None, Warning, AboveWarning, &[]),
    ("a poison pill, others never at 0", poison_beside_constant_lag, None, Critical, Stalled, &["payments[1]", "offset 42", "17 records wait"]),
    ("a poison pill, a member for each partition", poison_of_its_own, None, Critical, Stalled, &["payments[1]", "offset 42", "17 records"]),
    ("a poison pill, one member for all", poison_of_one_owner, None, Critical, Stalled, &["payments[1]", "offset 42"]),
    ("a poison pill, then no traffic", poison_then_quiet, None, Critical, Stalled, &["payments[1]", "offset 42"]),
    ("a poison pill, and a busy owner", poison_of_a_busy_owner, None, Critical, Stalled, &["payments[1]", "11 min"]),
    ("a poison pill before any commit", poison_before_any_commit, None, Critical, Stalled, &["payments[1]", "offset 0", "17 records"]),
    ("old records, and a reader of new ones", reads_only_what_is_new, None, Unknown, NotKnown, &["payments[1]: nothing committed"]),
    ("a group that never commits", commits_elsewhere, None, Unknown, NotKnown, &["payments[0]: nothing committed"]),
    ("one topic stalled, the other not", one_topic_stalled, Some(PAYMENTS), Critical, Stalled, &["payments[0]"]),
    ("the other topic of that group", one_topic_stalled, Some(ORDERS), Ok, KeepsUp, &[]),
    ("offsets reset to the beginning", rewound, None, Critical, Rewound, &["payments[0]", "from 1000", "100 now"]),
    ("reset by a little", rewound_a_little, None, Warning, Rewound, &["payments[0]", "from 1000", "950 now"]),
    ("reset, and read again", read_again, None, Ok, KeepsUp, &[]),
    ("the topic recreated", recreated, None, Critical, Rewound, &["payments[0]", "1000", "beyond the end 20"]),
    ("topic and offsets deleted and recreated", reset_with_its_group, None, Critical, AboveCritical, &[]),
    ("topic recreated between two polls", shorter_than_before, None, Ok, KeepsUp, &[]),
    ("retention was faster", lost, None, Critical, LostRecords, &["≤ 20 records were deleted", "payments[0] ≤ 20 of offsets 10 to 29"]),
    ("retention deleted what was read", deleted_after_reading, None, Ok, KeepsUp, &[]),
    ("more comes in than is read", falling_behind, None, Warning, FallingBehind, &["lag grew from", "10.0 records/s come in, 8.0 are read"]),
    ("much more comes in than is read", falling_far_behind, None, Critical, FallingBehind, &["100.0 records/s"]),
    ("hardly more comes in than is read", hardly_growing, None, Ok, KeepsUp, &["50 records wait"]),
    ("as much comes in as is read", constant, None, Warning, AboveWarning, &["150 records"]),
    ("a burst that is read slowly", burst_read_slowly, None, Critical, AboveCritical, &[]),
    ("one key has most records", hot, None, Critical, HotPartition, &["payments[2]", "900 of the 960", "few keys"]),
    ("one key has most records, from before the first look", hot_at_first_sight, None, Critical, HotPartition, &["payments[2]"]),
    ("partitions read one after the other", sequential, None, Critical, AboveCritical, &[]),
    ("the warning threshold", hundred, None, Warning, AboveWarning, &["100 records", "from 100 on"]),
    ("one below the warning threshold", ninety_nine, None, Ok, KeepsUp, &["99 records"]),
    ("the critical threshold", five_hundred, None, Critical, AboveCritical, &["500 records", "from 500 on"]),
    ("a fourth member for three partitions", fourth_member, None, Warning, MoreConsumersThanPartitions, &["4 members share 3 partitions: 1 "]),
    ("a fourth member still joining", fourth_joining, None, Ok, KeepsUp, &[]),
    ("three members, two not assigned yet", few_assigned, None, Ok, KeepsUp, &[]),
    ("no commit on one partition", never_committed, None, Unknown, NotKnown, &["payments[1]", "nothing committed"]),
    ("a deleted topic", deleted_topic, None, Unknown, NotKnown, &["payments[0]", "topic deleted", "2 more partitions"]),
    ("no commit, and no record to commit", no_record_yet, None, Ok, KeepsUp, &[]),
    ("members and nothing else", nothing_at_all, None, Unknown, NotKnown, &["no assigned partition"]),
    ("only commit markers are left", markers, None, Ok, KeepsUp, &["caught up"]),
    ("an open transaction", open_transaction, None, Ok, KeepsUp, &["caught up"]),
    ("a hanging transaction", hanging_transaction, None, Critical, HangingTransaction, &["payments[0]", "payment-service-1", "offset 10", "00:00:00 UTC"]),
    ("a hanging transaction, and a reader of uncommitted records", hanging_behind_an_uncommitted_reader, None, Ok, KeepsUp, &["caught up"]),
];

#[test]
fn each_rule_applies_where_it_should_and_nowhere_else() {
    for (description, case, topic, status, rule, words) in CASES {
        for interval in [1, 5, 20] {
            let health = case(interval).assess(*topic);
            let seen = format!("{description}, every {interval} s: {health:#?}");
            assert_eq!((health.status(), health.rule()), (*status, *rule), "{seen}");
            for word in *words {
                assert!(health.evidence().contains(word), "no {word:?} in {seen}");
            }
        }
    }
}

#[test]
fn no_rule_is_without_a_case() {
    let of_members = member_cases::rules();
    for rule in Rule::ALL {
        let has_case = CASES.iter().any(|case| case.4 == rule);
        assert!(has_case || of_members.contains(&rule), "{rule}");
    }
}

#[test]
fn every_stalled_partition_is_named_also_beyond_those_in_findings() {
    let mut group = SimulatedGroup::of(PAYMENTS, 13, 13, 5);
    (1..13).for_each(|partition| group.produce(PAYMENTS, partition, 1));
    let group = group.run(120, |group, _| {
        group.produce(PAYMENTS, 0, 1);
        group.read(PAYMENTS, 0, 1);
    });
    let health = group.assess(None);
    assert_eq!(health.findings().len(), 10, "{health:#?}");
    let stalled = health.stalled_partitions.iter();
    let stalled: Vec<i32> = stalled.map(|at| at.partition).collect();
    assert_eq!(stalled, (1..13).collect::<Vec<_>>());
}

#[test]
fn a_group_that_stopped_or_has_no_members_has_no_stalled_partition() {
    for case in [stopped, died, slow_in_turn, caught_up] {
        let health = case(5).assess(None);
        assert!(health.stalled_partitions.is_empty(), "{health:#?}");
    }
    let health = one_topic_stalled(5).assess(Some(ORDERS));
    assert!(health.stalled_partitions.is_empty(), "{health:#?}");
}
