//! Cases in which a group makes progress, or does not. `interval` is the poll interval in seconds.

use super::simulated_group::{ORDERS, PAYMENTS, SimulatedGroup};
use crate::LagUndefined;

pub fn caught_up(interval: i64) -> SimulatedGroup {
    SimulatedGroup::of(PAYMENTS, 3, 1, interval).run(3600, |_, _| {})
}

pub fn empty_caught_up(interval: i64) -> SimulatedGroup {
    let mut group = caught_up(interval);
    group.members(0);
    group.run(300, |_, _| {})
}

pub fn a_few(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval).run(100, |_, _| {});
    (0..3).for_each(|p| group.produce(PAYMENTS, p, 2));
    group.poll()
}

pub fn died(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    (0..3).for_each(|p| group.produce(PAYMENTS, p, 2));
    group.members(0);
    group.poll()
}

pub fn stopped(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    (0..3).for_each(|p| group.produce(PAYMENTS, p, 50));
    group.run(100, |_, _| {})
}

pub fn rebalancing(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 2, interval);
    group.state("PreparingRebalance");
    group.produce(PAYMENTS, 0, 5);
    group.run(100, |_, _| {})
}

pub fn fresh_backlog(interval: i64) -> SimulatedGroup {
    let mut group = caught_up(interval);
    group.produce(PAYMENTS, 0, 2500);
    group.produce(PAYMENTS, 1, 2500);
    group.run(50, |_, _| {})
}

pub fn drained(interval: i64) -> SimulatedGroup {
    fresh_backlog(interval).run(100, |group, _| {
        group.read(PAYMENTS, 0, 10);
        group.read(PAYMENTS, 1, 10);
    })
}

pub fn slow_in_turn(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval).run(60, |_, _| {});
    (0..3).for_each(|p| group.produce(PAYMENTS, p, 100));
    group.run(1800, |group, second| {
        if second % 30 == 29 {
            group.read(PAYMENTS, (second / 30 % 3) as i32, 1);
        }
    })
}

pub fn slow_in_sequence(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval).run(60, |_, _| {});
    group.produce(PAYMENTS, 0, 10);
    group.produce(PAYMENTS, 1, 60);
    group.produce(PAYMENTS, 2, 60);
    group.run(570, |group, second| {
        if second % 30 == 29 {
            let partition = if group.lag(PAYMENTS, 0) > 0 { 0 } else { 1 };
            group.read(PAYMENTS, partition, 1);
        }
    })
}

pub fn slow_and_last(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval).run(60, |_, _| {});
    (0..3).for_each(|p| group.produce(PAYMENTS, p, 1));
    group.run(80, |group, second| {
        if second % 30 == 29 {
            group.read(PAYMENTS, (second / 30) as i32, 1);
        }
    })
}

/// payments[0] and payments[2] have one owner, which reads the latter first. Another member keeps up
/// on payments[1].
pub fn slow_beside_a_fast_member(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 2, interval);
    group.produce(PAYMENTS, 0, 150);
    group.produce(PAYMENTS, 2, 150);
    group.run(160, |group, second| {
        group.produce(PAYMENTS, 1, 1);
        group.read(PAYMENTS, 1, 1);
        if second % 3 == 2 {
            group.read(PAYMENTS, 2, 1);
        }
    })
}

/// One member reads orders[0] before payments[0], and keeps up on payments[1].
pub fn slow_on_another_topic(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 2, 1, interval);
    group.topic(ORDERS, 1, 1);
    group.produce(PAYMENTS, 0, 150);
    group.produce(ORDERS, 0, 150);
    group.run(160, |group, second| {
        group.produce(PAYMENTS, 1, 2);
        group.read(PAYMENTS, 1, 2);
        if second % 3 == 2 {
            group.read(ORDERS, 0, 1);
        }
    })
}

/// A record per second on each partition. The group reads all but those of payments[1], which is
/// blocked by a poison pill.
pub fn pill(group: &mut SimulatedGroup, second: i64) {
    for p in 0..3 {
        if p != 1 || second < 17 {
            group.produce(PAYMENTS, p, 1);
        }
        if p != 1 {
            group.read(PAYMENTS, p, 1);
        }
    }
}

pub fn poison_of_its_own(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 3, interval);
    group.at(PAYMENTS, 1, 42);
    group.run(120, pill)
}

pub fn poison_of_one_owner(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    group.at(PAYMENTS, 1, 42);
    group.run(160, pill)
}

pub fn poison_then_quiet(interval: i64) -> SimulatedGroup {
    poison_of_one_owner(interval).run(600, |_, _| {})
}

pub fn poison_of_a_busy_owner(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 2, 1, interval);
    group.at(PAYMENTS, 1, 42);
    group.produce(PAYMENTS, 0, 10_000);
    group.produce(PAYMENTS, 1, 1);
    group.run(660, |group, _| group.read(PAYMENTS, 0, 1))
}

pub fn poison_beside_constant_lag(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    group.at(PAYMENTS, 1, 42);
    group.produce(PAYMENTS, 0, 4);
    group.produce(PAYMENTS, 2, 9);
    group.run(160, |group, second| {
        for partition in [0, 2] {
            group.produce(PAYMENTS, partition, 50);
            group.read(PAYMENTS, partition, 50);
        }
        if second < 17 {
            group.produce(PAYMENTS, 1, 1);
        }
    })
}

pub fn poison_before_any_commit(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    group.unknown(PAYMENTS, 1, LagUndefined::NoRecordYet);
    let mut group = group.run(20, |_, _| {});
    group.unknown(PAYMENTS, 1, LagUndefined::NothingCommitted);
    group.run(160, pill)
}

pub fn reads_only_what_is_new(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    group.unknown(PAYMENTS, 1, LagUndefined::NothingCommitted);
    group.run(160, |group, _| {
        group.produce(PAYMENTS, 0, 1);
        group.read(PAYMENTS, 0, 1);
    })
}

pub fn commits_elsewhere(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, interval);
    group.unknown(PAYMENTS, 0, LagUndefined::NothingCommitted);
    group.run(160, |group, _| group.produce(PAYMENTS, 0, 1))
}

pub fn one_topic_stalled(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, interval);
    group.topic(ORDERS, 1, 1);
    group.produce(PAYMENTS, 0, 3);
    group.run(160, |group, _| {
        group.produce(ORDERS, 0, 1);
        group.read(ORDERS, 0, 1);
    })
}
