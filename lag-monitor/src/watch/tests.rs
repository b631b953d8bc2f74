//! What counts, until when, and what is told once.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use cluster_reader::{Ends, Group, Lag, PartitionLag, Protocol, TopicPartition};

use super::*;

fn pair(group: &str) -> Pair {
    Pair {
        group: group.to_owned(),
        topic: "payments".to_owned(),
    }
}

fn watch() -> Watch {
    Watch::new(Rules {
        thresholds: Thresholds::default(),
        every: Duration::from_secs(5),
        first: pair("g"),
    })
}

fn second(n: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(n)
}

/// A group without members, with so many records waiting.
fn group(topic: &str, waiting: i64) -> Group {
    let lag = Lag {
        readable: waiting,
        at_least: false,
        control_records: 0,
        aborted_records: 0,
        beyond_stable: 0,
        lost: 0,
        oldest_unread: None,
    };
    let (low, stable, high) = (0, waiting, waiting);
    let found = PartitionLag {
        committed: Some(0),
        ends: Some(Ends { low, stable, high }),
        owner: None,
        lag: Ok(lag),
    };
    let topic = topic.to_owned();
    Group {
        state: "Empty".to_owned(),
        protocol: Protocol::Classic,
        members: Vec::new(),
        partitions: BTreeMap::from([(
            TopicPartition {
                topic,
                partition: 0,
            },
            found,
        )]),
    }
}

fn snapshot(at: i64, groups: &[(&str, i64)]) -> Snapshot {
    let groups = groups.iter();
    Snapshot {
        taken_at: second(at),
        groups: groups
            .map(|(name, waiting)| ((*name).to_owned(), group("payments", *waiting)))
            .collect(),
        topics: BTreeMap::new(),
    }
}

fn counts(watch: &Watch, at: i64) -> Result<(), Stale> {
    watch.look(second(at), |_| ())
}

#[test]
fn figures_count_for_three_intervals_and_not_after_a_failure() {
    let watch = watch();
    assert_eq!(counts(&watch, 0), Err(Stale { last_success: None }));
    watch.read(snapshot(100, &[("g", 0)]));
    let stale = Err(Stale {
        last_success: Some(second(100)),
    });
    assert_eq!(counts(&watch, 115), Ok(()));
    assert_eq!(counts(&watch, 116), stale);
    watch.failed("timeout");
    assert_eq!(counts(&watch, 101), stale);
    watch.read(snapshot(105, &[("g", 0)]));
    assert_eq!(counts(&watch, 106), Ok(()));
    let counts = watch.counts();
    assert_eq!((counts.polls, counts.errors["timeout"]), (3, 1));
}

#[test]
fn there_is_one_alert_for_each_change_and_none_for_a_poll() {
    let watch = watch();
    for (at, waiting) in [
        (5, 0),
        (10, 0),
        (15, 7),
        (20, 8),
        (25, 600),
        (30, 0),
        (35, 0),
    ] {
        watch.read(snapshot(at, &[("g", waiting)]));
    }
    let told = watch.alerts(None, 10);
    let told: Vec<_> = told.iter().map(|one| (one.level, one.timestamp)).collect();
    assert_eq!(told, [("ok", second(30)), ("critical", second(15))]);
    assert_eq!(watch.alerts(None, 1).len(), 1);
    assert_eq!(watch.alerts(Some(&pair("g")), 10).len(), 2);
    assert_eq!(watch.alerts(Some(&pair("h")), 10).len(), 0);
    watch.clear_alerts();
    watch.read(snapshot(40, &[("g", 0)]));
    assert_eq!(watch.alerts(None, 10).len(), 0);
}

#[test]
fn a_group_in_trouble_is_told_when_it_is_first_seen_and_one_that_is_well_is_not() {
    let watch = watch();
    watch.read(snapshot(5, &[("bad", 3), ("good", 0)]));
    let told = watch.alerts(None, 10);
    assert_eq!(told.len(), 1);
    assert!(told[0].message.contains("bad on payments"), "{told:?}");
    assert_eq!(told[0].total_lag, Some(3));
}

#[test]
fn an_outage_is_one_alert_and_its_end_another() {
    let watch = watch();
    watch.read(snapshot(5, &[]));
    (0..5).for_each(|_| watch.failed("unreachable"));
    watch.read(snapshot(50, &[]));
    let told = watch.alerts(None, 10);
    let levels: Vec<_> = told.iter().map(|one| one.level).collect();
    assert_eq!(levels, ["ok", "critical"]);
}

#[test]
fn what_is_kept_is_bounded() {
    let watch = watch();
    for n in 0..2_500 {
        watch.read(snapshot(n, &[("g", n % 2)]));
    }
    assert_eq!(watch.alerts(None, usize::MAX).len(), 1_000);
    let past = watch.past(&pair("g"), usize::MAX);
    assert_eq!(past.len(), 1_000);
    assert_eq!(past[999].timestamp, second(2_499));
    assert_eq!(watch.past(&pair("g"), 2), past[998..]);
}

#[test]
fn with_very_many_groups_the_default_one_is_judged_and_the_others_can_be_asked_for() {
    let watch = watch();
    let mut many = snapshot(5, &[("z", 1)]);
    for n in 0..3_000 {
        many.groups.insert(format!("a{n:04}"), group("payments", 1));
    }
    many.groups.insert("g".to_owned(), group("payments", 1));
    watch.read(many);
    let looked = watch.look(second(5), |view| {
        let asked = view.judge("z", Some("payments")).is_some();
        (
            view.judged.len(),
            view.judged.contains_key(&pair("g")),
            asked,
        )
    });
    assert_eq!(looked, Ok((2_000, true, true)));
}

#[test]
fn a_pair_that_is_gone_has_no_past() {
    let watch = watch();
    watch.read(snapshot(5, &[("g", 0), ("h", 0)]));
    watch.read(snapshot(10, &[("g", 0)]));
    assert_eq!(watch.past(&pair("h"), 10).len(), 0);
    assert_eq!(watch.past(&pair("g"), 10).len(), 2);
}

#[test]
fn a_moment_has_what_waited_on_each_partition_and_many_partitions_have_fewer_moments() {
    let watch = watch();
    let mut wide = group("payments", 7);
    let known = wide.partitions.values().next().unwrap().clone();
    for partition in 1..1_000 {
        let found = PartitionLag {
            lag: Err(cluster_reader::NoLag::NothingCommitted),
            ..known.clone()
        };
        let topic = "payments".to_owned();
        wide.partitions
            .insert(TopicPartition { topic, partition }, found);
    }
    for n in 0..200 {
        let mut snapshot = snapshot(n, &[]);
        snapshot.groups.insert("g".to_owned(), wide.clone());
        watch.read(snapshot);
    }
    let past = watch.past(&pair("g"), usize::MAX);
    // 100 000 figures, of which a moment has 1 + 1 000.
    assert_eq!(past.len(), 99);
    assert_eq!(past[98].timestamp, second(199));
    assert_eq!(past[98].partitions.len(), 1_000);
    assert_eq!(past[98].partitions[..2], [(0, Some(7)), (1, None)]);
}
