//! Each rule with cases that fire and cases that must not, at a poll every second, every five and every twenty.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod moving;
mod scene;
mod shape;
mod standing;

use Rule::*;
use Status::{Critical, Ok, Unknown, Warning};
use moving::*;
use scene::{ORDERS, PAYMENTS, Scene};
use standing::*;

use super::*;

/// What happens, whether it is asked of the topic alone, and what is to be said of it in the end: status, rule, and words of the
/// evidence.
type Case = (
    &'static str,
    fn(i64) -> Scene,
    Option<&'static str>,
    Status,
    Rule,
    &'static [&'static str],
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("at rest for an hour", at_rest, None, Ok, KeepsUp, &["nothing waits"]),
    ("at rest, without members", empty_at_rest, None, Ok, KeepsUp, &["nothing waits", "no member"]),
    ("a few records wait", a_few, None, Ok, KeepsUp, &["6 records wait", "the oldest for 2.0 s"]),
    ("members have died", died, None, Critical, NoMembers, &["6 records wait", "Empty"]),
    ("nothing committed", stopped, None, Critical, Stopped, &["150 records", "1", "payments[0]", "offset 10"]),
    ("a rebalance that does not end", rebalancing, None, Critical, Stopped, &["PreparingRebalance"]),
    ("a fresh backlog, not yet touched", fresh_backlog, None, Critical, AboveCritical, &["5000 records", "500"]),
    ("a fresh backlog, being drained", drained, None, Critical, AboveCritical, &["records wait"]),
    ("30 s a message, partitions in turn", slow_in_turn, None, Warning, AboveWarning, &[]),
    ("30 s a message, one partition first", slow_in_sequence, None, Warning, AboveWarning, &[]),
    ("30 s a message, the last of three", slow_and_last, None, Ok, KeepsUp, &["1 records wait"]),
    ("a poison pill, a member a partition", poison_of_its_own, None, Critical, Stalled, &["payments[1]", "offset 42", "17 records"]),
    ("a poison pill, one member for all", poison_of_one_owner, None, Critical, Stalled, &["payments[1]", "offset 42"]),
    ("a poison pill, then no traffic", poison_then_quiet, None, Critical, Stalled, &["payments[1]", "offset 42"]),
    ("a poison pill, and a busy owner", poison_of_a_busy_owner, None, Critical, Stalled, &["payments[1]", "11 min"]),
    ("a poison pill before any commit", poison_before_any_commit, None, Critical, Stalled, &["payments[1]", "offset 0", "17 records"]),
    ("old records, and a reader of new ones", reads_only_what_is_new, None, Unknown, NotKnown, &["payments[1]: nothing committed"]),
    ("a group that never commits", commits_elsewhere, None, Unknown, NotKnown, &["payments[0]: nothing committed"]),
    ("one topic stands, the other goes on", one_topic_stands, Some(PAYMENTS), Critical, Stalled, &["payments[0]"]),
    ("the other topic of that group", one_topic_stands, Some(ORDERS), Ok, KeepsUp, &[]),
    ("offsets reset to the beginning", rewound, None, Critical, Rewound, &["payments[0]", "from 1000", "100 now"]),
    ("reset by a little", rewound_a_little, None, Warning, Rewound, &["payments[0]", "from 1000", "950 now"]),
    ("reset, and read again", read_again, None, Ok, KeepsUp, &[]),
    ("the topic made anew", made_anew, None, Critical, Rewound, &["payments[0]", "1000", "beyond the end 20"]),
    ("topic and offsets deleted and made anew", reset_with_its_group, None, Critical, AboveCritical, &[]),
    ("topic made anew between two polls", shorter_than_before, None, Ok, KeepsUp, &[]),
    ("retention was faster", lost, None, Critical, LostRecords, &["payments[0]: 20 records from offset 10", "begins at 30"]),
    ("retention deleted what was read", deleted_after_reading, None, Ok, KeepsUp, &[]),
    ("more comes in than is read", falling_behind, None, Warning, FallingBehind, &["lag grew from", "10.0 records/s come in, 8.0 are read"]),
    ("much more comes in than is read", falling_far_behind, None, Critical, FallingBehind, &["100.0 records/s"]),
    ("hardly more comes in than is read", hardly_growing, None, Ok, KeepsUp, &["50 records wait"]),
    ("as much comes in as is read", constant, None, Warning, AboveWarning, &["150 records"]),
    ("a burst that is read slowly", burst_read_slowly, None, Critical, AboveCritical, &[]),
    ("one key has it all", hot, None, Critical, HotPartition, &["payments[2]", "900 of the 960", "few keys"]),
    ("one key has it all, from before the first look", hot_at_first_sight, None, Critical, HotPartition, &["payments[2]"]),
    ("partitions read one after the other", sequential, None, Critical, AboveCritical, &[]),
    ("the warning threshold", hundred, None, Warning, AboveWarning, &["100 records", "from 100 on"]),
    ("one below the warning threshold", ninety_nine, None, Ok, KeepsUp, &["99 records"]),
    ("the critical threshold", five_hundred, None, Critical, AboveCritical, &["500 records", "from 500 on"]),
    ("a fourth member for three partitions", fourth_member, None, Warning, MoreConsumersThanPartitions, &["4 members share 3 partitions: 1 "]),
    ("a fourth member still joining", fourth_joining, None, Ok, KeepsUp, &[]),
    ("three members, two not assigned yet", few_assigned, None, Ok, KeepsUp, &[]),
    ("no commit on one partition", never_committed, None, Unknown, NotKnown, &["payments[1]", "nothing committed"]),
    ("a deleted topic", deleted_topic, None, Unknown, NotKnown, &["payments[0]", "topic deleted", "2 partitions more"]),
    ("no commit, and no record to commit", no_record_yet, None, Ok, KeepsUp, &[]),
    ("members and nothing else", nothing_at_all, None, Unknown, NotKnown, &["no partition assigned"]),
    ("only commit markers are left", markers, None, Ok, KeepsUp, &["nothing waits"]),
    ("an open transaction", open_transaction, None, Ok, KeepsUp, &["nothing waits"]),
];

#[test]
fn each_rule_fires_where_it_should_and_nowhere_else() {
    for (what, story, topic, status, rule, words) in CASES {
        for every in [1, 5, 20] {
            let judged = story(every).judge(*topic);
            let seen = format!("{what}, every {every} s: {judged:#?}");
            assert_eq!((judged.status(), judged.rule()), (*status, *rule), "{seen}");
            for word in *words {
                assert!(judged.evidence().contains(word), "no {word:?} in {seen}");
            }
        }
    }
}

#[test]
fn no_rule_is_without_a_case() {
    for rule in Rule::ALL {
        assert!(CASES.iter().any(|case| case.4 == rule), "{rule}");
    }
}
