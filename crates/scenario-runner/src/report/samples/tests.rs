//! Samples of snapshots.

use chrono::Utc;
use cluster_reader::{
    GroupMember, Lag, LagCount, LagUndefined, LogOffsets, Owner, PartitionLag, Protocol,
};

use super::*;

const GROUP: &str = "inventory-service-group";

fn at(partition: i32) -> TopicPartition {
    TopicPartition {
        topic: "payments".to_owned(),
        partition,
    }
}

fn row(high: i64, committed: Option<i64>) -> PartitionLag {
    let lag = committed.map(|committed| Lag {
        readable: LagCount::of(high - committed),
        ..Lag::default()
    });
    PartitionLag {
        committed,
        log_offsets: None,
        owner: None,
        lag: lag.ok_or(LagUndefined::NothingCommitted),
    }
}

fn member(id: &str, owns: &[i32]) -> GroupMember {
    GroupMember {
        owner: Owner {
            member_id: id.to_owned(),
            client_id: "inventory-service-1".to_owned(),
            host: "/127.0.0.1".to_owned(),
        },
        instance_id: None,
        assignment: owns.iter().map(|number| at(*number)).collect(),
    }
}

/// A snapshot of a topic with these records in each partition, the group's committed offsets and its members.
fn snapshot(rows: &[(i64, Option<i64>)], members: Vec<GroupMember>) -> Snapshot {
    let ends = |high: i64| LogOffsets {
        log_start: 0,
        last_stable: high,
        high_watermark: high,
    };
    let numbered = || (0..).zip(rows);
    let group = Group {
        state: "Stable".to_owned(),
        protocol: Protocol::Classic,
        members,
        partitions: numbered()
            .map(|(number, (high, committed))| (at(number), row(*high, *committed)))
            .collect(),
    };
    let payments = numbered().map(|(number, (high, _))| (number, ends(*high)));
    Snapshot {
        replicas: BTreeMap::new(),
        taken_at: Utc::now(),
        groups: BTreeMap::from([(GROUP.to_owned(), group)]),
        topics: BTreeMap::from([("payments".to_owned(), payments.collect())]),
    }
}

fn values(samples: &Samples, line: &Line) -> Vec<Option<f64>> {
    let points = samples.points(line);
    points.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn what_could_not_be_read_is_a_gap_and_no_zero() {
    let mut samples = Samples::default();
    let seen = snapshot(&[(10, Some(4)), (5, None)], Vec::new());
    samples.add(0.0, None, Vec::new());
    samples.add(1.0, Some(&seen), Vec::new());
    samples.add(2.0, None, Vec::new());
    samples.add(3.0, Some(&seen), Vec::new());
    let lag = values(&samples, &Line::Lag(GROUP.to_owned()));
    assert_eq!(lag, [None, Some(6.0), None, Some(6.0)]);
    let unknown = Line::PartitionLag(GROUP.to_owned(), at(1));
    assert!(
        values(&samples, &unknown).is_empty(),
        "nothing was committed there"
    );
}

#[test]
fn the_growth_of_a_topic_is_counted_on_after_it_is_recreated() {
    let mut samples = Samples::default();
    let produced = Line::Produced("payments".to_owned());
    let consumed = Line::Consumed(GROUP.to_owned());
    for (second, high, committed) in [(0, 100, 90), (1, 150, 100), (2, 20, 0), (3, 30, 25)] {
        let seen = snapshot(&[(high, Some(committed))], Vec::new());
        samples.add(f64::from(second), Some(&seen), Vec::new());
    }
    let expected = [Some(0.0), Some(50.0), Some(70.0), Some(80.0)];
    assert_eq!(values(&samples, &produced), expected);
    let expected = [Some(0.0), Some(10.0), Some(10.0), Some(35.0)];
    assert_eq!(values(&samples, &consumed), expected);
}

#[test]
fn a_rebalance_is_seen_once_and_only_when_it_is_over() {
    let mut samples = Samples::default();
    let rows = [(1, Some(1)), (1, Some(1)), (1, Some(1))];
    let one = snapshot(&rows, vec![member("a", &[0, 1, 2])]);
    let mut under_way = snapshot(&rows, vec![member("a", &[]), member("b", &[])]);
    for group in under_way.groups.values_mut() {
        "PreparingRebalance".clone_into(&mut group.state);
    }
    let two = snapshot(&rows, vec![member("a", &[0, 1]), member("b", &[2])]);
    for (second, seen) in [&one, &one, &under_way, &two, &two].into_iter().enumerate() {
        samples.add(second as f64, Some(seen), Vec::new());
    }
    let (seen, in_all) = samples.rebalances();
    let expected = Rebalance {
        at: 3.0,
        group: GROUP.to_owned(),
        before: 1,
        after: 2,
        joined: 1,
        moved: 1,
    };
    assert_eq!((seen, in_all), (&[expected][..], 1));
}

#[test]
fn a_long_scenario_keeps_no_more_readings_than_a_short_one() {
    let mut samples = Samples::default();
    let line = Line::Lag(GROUP.to_owned());
    for second in 0..20_000 {
        let seen = snapshot(&[(second, Some(0))], Vec::new());
        samples.add(second as f64, Some(&seen), Vec::new());
    }
    let points = samples.points(&line);
    assert!(
        (MOST / 2 - 1..=MOST).contains(&points.len()),
        "{}",
        points.len()
    );
    for (second, lag) in &points {
        assert_eq!(Some(*second), *lag);
    }
    let last = points.last().unwrap().0;
    assert!(last > 19_900.0, "the end is there, too: {last}");
}

#[test]
fn names_without_end_make_no_lines_without_end() {
    let mut samples = Samples::default();
    for n in 0..1_000 {
        let mut seen = snapshot(&[(1, Some(0))], Vec::new());
        let group = seen.groups.remove(GROUP).unwrap();
        seen.groups.insert(format!("group-{n}"), group);
        samples.add(f64::from(n), Some(&seen), Vec::new());
    }
    assert_eq!(samples.lines().count(), MOST_LINES);
}
