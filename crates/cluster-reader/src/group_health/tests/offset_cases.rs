//! Cases in which a group's offsets, records or members change. `interval` is the poll interval in
//! seconds.

use chrono::DateTime;

use super::simulated_group::{PAYMENTS, SimulatedGroup};
use crate::transactions::{OpenTransaction, TransactionStatus};
use crate::{LagUndefined, TopicPartition};

pub fn reset(interval: i64, to: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, interval);
    group.at(PAYMENTS, 0, 1000);
    let mut group = group.run(60, |_, _| {});
    group.commit(PAYMENTS, 0, to);
    group.run(20, |_, _| {})
}

pub fn rewound(interval: i64) -> SimulatedGroup {
    reset(interval, 100)
}

pub fn rewound_a_little(interval: i64) -> SimulatedGroup {
    reset(interval, 950)
}

pub fn read_again(interval: i64) -> SimulatedGroup {
    reset(interval, 100).run(40, |group, _| group.read(PAYMENTS, 0, 100))
}

pub fn recreated(interval: i64) -> SimulatedGroup {
    let mut group = reset(interval, 1000);
    group.end(PAYMENTS, 0, 20);
    group.poll()
}

pub fn reset_with_its_group(interval: i64) -> SimulatedGroup {
    let mut group = reset(interval, 1000);
    group.unknown(PAYMENTS, 0, LagUndefined::NothingCommitted);
    let mut group = group.run(25, |_, _| {});
    group.know(PAYMENTS, 0);
    group.commit(PAYMENTS, 0, 3);
    group.run(20, |_, _| {})
}

pub fn shorter_than_before(interval: i64) -> SimulatedGroup {
    let mut group = reset(interval, 1000);
    group.at(PAYMENTS, 0, 20);
    group.run(20, |_, _| {})
}

pub fn lost(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, interval);
    group.produce(PAYMENTS, 0, 40);
    group.low(PAYMENTS, 0, 30);
    group.poll()
}

pub fn deleted_after_reading(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, interval);
    group.low(PAYMENTS, 0, 10);
    group.run(20, |_, _| {})
}

pub fn traffic(interval: i64, seconds: i64, comes: i64, read: i64) -> SimulatedGroup {
    let group = SimulatedGroup::of(PAYMENTS, 2, 1, interval).run(40, |_, _| {});
    group.run(seconds, |group, _| {
        group.produce(PAYMENTS, 0, comes);
        group.produce(PAYMENTS, 1, comes);
        group.read(PAYMENTS, 0, read);
        group.read(PAYMENTS, 1, read);
    })
}

pub fn falling_behind(interval: i64) -> SimulatedGroup {
    traffic(interval, 120, 5, 4)
}

pub fn falling_far_behind(interval: i64) -> SimulatedGroup {
    traffic(interval, 100, 50, 10)
}

pub fn hardly_growing(interval: i64) -> SimulatedGroup {
    let group = SimulatedGroup::of(PAYMENTS, 1, 1, interval).run(60, |_, _| {});
    group.run(50, |group, _| {
        group.produce(PAYMENTS, 0, 100);
        group.read(PAYMENTS, 0, 99);
    })
}

pub fn constant(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, interval);
    group.produce(PAYMENTS, 0, 150);
    group.run(200, |group, _| {
        group.produce(PAYMENTS, 0, 5);
        group.read(PAYMENTS, 0, 5);
    })
}

pub fn burst_read_slowly(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 2, 1, interval).run(60, |_, _| {});
    group.produce(PAYMENTS, 0, 5000);
    group.produce(PAYMENTS, 1, 5000);
    group.run(20, |group, _| group.read(PAYMENTS, 0, 10))
}

pub fn hot(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 3, interval).run(60, |_, _| {});
    group.produce(PAYMENTS, 0, 30);
    group.produce(PAYMENTS, 1, 30);
    group.produce(PAYMENTS, 2, 1000);
    group.run(20, |group, _| group.read(PAYMENTS, 2, 5))
}

pub fn hot_at_first_sight(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 3, interval);
    group.unknown(PAYMENTS, 0, LagUndefined::NoRecordYet);
    group.produce(PAYMENTS, 2, 1000);
    group.poll()
}

pub fn sequential(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval).run(60, |_, _| {});
    (0..3).for_each(|p| group.produce(PAYMENTS, p, 1000));
    group.run(110, |group, _| {
        let next = (0..3).find(|p| group.lag(PAYMENTS, *p) > 0).unwrap();
        group.read(PAYMENTS, next, 20);
    })
}

pub fn waiting(interval: i64, records: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, interval);
    group.produce(PAYMENTS, 0, records);
    group.poll()
}

pub fn ninety_nine(interval: i64) -> SimulatedGroup {
    waiting(interval, 99)
}

pub fn hundred(interval: i64) -> SimulatedGroup {
    waiting(interval, 100)
}

pub fn five_hundred(interval: i64) -> SimulatedGroup {
    waiting(interval, 500)
}

pub fn fourth_member(interval: i64) -> SimulatedGroup {
    SimulatedGroup::of(PAYMENTS, 3, 4, interval).poll()
}

pub fn fourth_joining(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 4, interval);
    group.state("CompletingRebalance");
    group.poll()
}

pub fn few_assigned(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    group.join_idle(2);
    group.poll()
}

pub fn never_committed(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    group.unknown(PAYMENTS, 1, LagUndefined::NothingCommitted);
    group.run(100, |_, _| {})
}

pub fn deleted_topic(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 0, interval);
    (0..3).for_each(|p| group.unknown(PAYMENTS, p, LagUndefined::TopicDeleted));
    group.poll()
}

pub fn no_record_yet(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    (0..3).for_each(|p| group.unknown(PAYMENTS, p, LagUndefined::NoRecordYet));
    group.poll()
}

pub fn nothing_at_all(interval: i64) -> SimulatedGroup {
    SimulatedGroup::of(PAYMENTS, 0, 1, interval).poll()
}

pub fn markers(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    (0..3).for_each(|p| group.mark(PAYMENTS, p));
    group.run(300, |_, _| {})
}

pub fn open_transaction(interval: i64) -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, interval);
    group.open(PAYMENTS, 0, 1000);
    group.run(300, |_, _| {})
}

/// A transaction hangs in partition 0 from this offset on; the group's position is 10.
fn hanging_at(interval: i64, start_offset: i64) -> SimulatedGroup {
    let mut group = open_transaction(interval);
    group
        .history
        .set_hanging_transactions(vec![OpenTransaction {
            partition: TopicPartition {
                topic: PAYMENTS.to_owned(),
                partition: 0,
            },
            producer_id: 7,
            producer_epoch: 3,
            coordinator_epoch: 0,
            start_offset,
            last_write: DateTime::UNIX_EPOCH,
            transactional_id: Some("payment-service-1".to_owned()),
            status: TransactionStatus::Hanging,
        }]);
    group
}

pub fn hanging_transaction(interval: i64) -> SimulatedGroup {
    hanging_at(interval, 10)
}

pub fn hanging_behind_an_uncommitted_reader(interval: i64) -> SimulatedGroup {
    hanging_at(interval, 9)
}
