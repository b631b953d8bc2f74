//! What happened to a group, up to the moment at which it is judged. `every` is how often it was polled, seconds.

use super::scene::{ORDERS, PAYMENTS, Scene};
use crate::NoLag;

pub fn at_rest(every: i64) -> Scene {
    Scene::of(PAYMENTS, 3, 1, every).run(3600, |_, _| {})
}

pub fn empty_at_rest(every: i64) -> Scene {
    let mut scene = at_rest(every);
    scene.members(0);
    scene.run(300, |_, _| {})
}

pub fn a_few(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every).run(100, |_, _| {});
    (0..3).for_each(|p| scene.produce(PAYMENTS, p, 2));
    scene.poll()
}

pub fn died(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    (0..3).for_each(|p| scene.produce(PAYMENTS, p, 2));
    scene.members(0);
    scene.poll()
}

pub fn stopped(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    (0..3).for_each(|p| scene.produce(PAYMENTS, p, 50));
    scene.run(100, |_, _| {})
}

pub fn rebalancing(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 2, every);
    scene.state("PreparingRebalance");
    scene.produce(PAYMENTS, 0, 5);
    scene.run(100, |_, _| {})
}

pub fn fresh_backlog(every: i64) -> Scene {
    let mut scene = at_rest(every);
    scene.produce(PAYMENTS, 0, 2500);
    scene.produce(PAYMENTS, 1, 2500);
    scene.run(50, |_, _| {})
}

pub fn drained(every: i64) -> Scene {
    fresh_backlog(every).run(100, |scene, _| {
        scene.read(PAYMENTS, 0, 10);
        scene.read(PAYMENTS, 1, 10);
    })
}

pub fn slow_in_turn(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every).run(60, |_, _| {});
    (0..3).for_each(|p| scene.produce(PAYMENTS, p, 100));
    scene.run(1800, |scene, second| {
        if second % 30 == 29 {
            scene.read(PAYMENTS, (second / 30 % 3) as i32, 1);
        }
    })
}

pub fn slow_in_sequence(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every).run(60, |_, _| {});
    scene.produce(PAYMENTS, 0, 10);
    scene.produce(PAYMENTS, 1, 60);
    scene.produce(PAYMENTS, 2, 60);
    scene.run(570, |scene, second| {
        if second % 30 == 29 {
            let place = if scene.lag(PAYMENTS, 0) > 0 { 0 } else { 1 };
            scene.read(PAYMENTS, place, 1);
        }
    })
}

pub fn slow_and_last(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every).run(60, |_, _| {});
    (0..3).for_each(|p| scene.produce(PAYMENTS, p, 1));
    scene.run(80, |scene, second| {
        if second % 30 == 29 {
            scene.read(PAYMENTS, (second / 30) as i32, 1);
        }
    })
}

/// A record a second on each partition, all read but what lies behind offset 42 of payments[1].
pub fn pill(scene: &mut Scene, second: i64) {
    for p in 0..3 {
        if p != 1 || second < 17 {
            scene.produce(PAYMENTS, p, 1);
        }
        if p != 1 {
            scene.read(PAYMENTS, p, 1);
        }
    }
}

pub fn poison_of_its_own(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 3, every);
    scene.at(PAYMENTS, 1, 42);
    scene.run(120, pill)
}

pub fn poison_of_one_owner(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    scene.at(PAYMENTS, 1, 42);
    scene.run(160, pill)
}

pub fn poison_then_quiet(every: i64) -> Scene {
    poison_of_one_owner(every).run(600, |_, _| {})
}

pub fn poison_of_a_busy_owner(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 2, 1, every);
    scene.at(PAYMENTS, 1, 42);
    scene.produce(PAYMENTS, 0, 10_000);
    scene.produce(PAYMENTS, 1, 1);
    scene.run(660, |scene, _| scene.read(PAYMENTS, 0, 1))
}

pub fn poison_before_any_commit(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    scene.unknown(PAYMENTS, 1, NoLag::NoRecordYet);
    let mut scene = scene.run(20, |_, _| {});
    scene.unknown(PAYMENTS, 1, NoLag::NothingCommitted);
    scene.run(160, pill)
}

pub fn reads_only_what_is_new(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    scene.unknown(PAYMENTS, 1, NoLag::NothingCommitted);
    scene.run(160, |scene, _| {
        scene.produce(PAYMENTS, 0, 1);
        scene.read(PAYMENTS, 0, 1);
    })
}

pub fn commits_elsewhere(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 1, 1, every);
    scene.unknown(PAYMENTS, 0, NoLag::NothingCommitted);
    scene.run(160, |scene, _| scene.produce(PAYMENTS, 0, 1))
}

pub fn one_topic_stands(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 1, 1, every);
    scene.topic(ORDERS, 1, 1);
    scene.produce(PAYMENTS, 0, 3);
    scene.run(160, |scene, _| {
        scene.produce(ORDERS, 0, 1);
        scene.read(ORDERS, 0, 1);
    })
}

pub fn reset(every: i64, to: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 1, 1, every);
    scene.at(PAYMENTS, 0, 1000);
    let mut scene = scene.run(60, |_, _| {});
    scene.commit(PAYMENTS, 0, to);
    scene.run(20, |_, _| {})
}

pub fn rewound(every: i64) -> Scene {
    reset(every, 100)
}

pub fn rewound_a_little(every: i64) -> Scene {
    reset(every, 950)
}

pub fn read_again(every: i64) -> Scene {
    reset(every, 100).run(40, |scene, _| scene.read(PAYMENTS, 0, 100))
}

pub fn made_anew(every: i64) -> Scene {
    let mut scene = reset(every, 1000);
    scene.end(PAYMENTS, 0, 20);
    scene.poll()
}

pub fn reset_with_its_group(every: i64) -> Scene {
    let mut scene = reset(every, 1000);
    scene.unknown(PAYMENTS, 0, NoLag::NothingCommitted);
    let mut scene = scene.run(25, |_, _| {});
    scene.know(PAYMENTS, 0);
    scene.commit(PAYMENTS, 0, 3);
    scene.run(20, |_, _| {})
}

pub fn shorter_than_before(every: i64) -> Scene {
    let mut scene = reset(every, 1000);
    scene.at(PAYMENTS, 0, 20);
    scene.run(20, |_, _| {})
}

pub fn lost(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 1, 1, every);
    scene.produce(PAYMENTS, 0, 40);
    scene.low(PAYMENTS, 0, 30);
    // Told for a while after the group has gone on, too.
    let mut scene = scene.poll();
    scene.commit(PAYMENTS, 0, 50);
    scene.run(60, |_, _| {})
}

pub fn deleted_after_reading(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 1, 1, every);
    scene.low(PAYMENTS, 0, 10);
    scene.run(20, |_, _| {})
}

pub fn traffic(every: i64, seconds: i64, comes: i64, read: i64) -> Scene {
    let scene = Scene::of(PAYMENTS, 2, 1, every).run(40, |_, _| {});
    scene.run(seconds, |scene, _| {
        scene.produce(PAYMENTS, 0, comes);
        scene.produce(PAYMENTS, 1, comes);
        scene.read(PAYMENTS, 0, read);
        scene.read(PAYMENTS, 1, read);
    })
}

pub fn falling_behind(every: i64) -> Scene {
    traffic(every, 120, 5, 4)
}

pub fn falling_far_behind(every: i64) -> Scene {
    traffic(every, 100, 50, 10)
}

pub fn hardly_growing(every: i64) -> Scene {
    let scene = Scene::of(PAYMENTS, 1, 1, every).run(60, |_, _| {});
    scene.run(50, |scene, _| {
        scene.produce(PAYMENTS, 0, 100);
        scene.read(PAYMENTS, 0, 99);
    })
}

pub fn constant(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 1, 1, every);
    scene.produce(PAYMENTS, 0, 150);
    scene.run(200, |scene, _| {
        scene.produce(PAYMENTS, 0, 5);
        scene.read(PAYMENTS, 0, 5);
    })
}

pub fn burst_read_slowly(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 2, 1, every).run(60, |_, _| {});
    scene.produce(PAYMENTS, 0, 5000);
    scene.produce(PAYMENTS, 1, 5000);
    scene.run(20, |scene, _| scene.read(PAYMENTS, 0, 10))
}

pub fn hot(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 3, every).run(60, |_, _| {});
    scene.produce(PAYMENTS, 0, 30);
    scene.produce(PAYMENTS, 1, 30);
    scene.produce(PAYMENTS, 2, 1000);
    scene.run(20, |scene, _| scene.read(PAYMENTS, 2, 5))
}

pub fn hot_at_first_sight(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 3, every);
    scene.unknown(PAYMENTS, 0, NoLag::NoRecordYet);
    scene.produce(PAYMENTS, 2, 1000);
    scene.poll()
}

pub fn sequential(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every).run(60, |_, _| {});
    (0..3).for_each(|p| scene.produce(PAYMENTS, p, 1000));
    scene.run(110, |scene, _| {
        let next = (0..3).find(|p| scene.lag(PAYMENTS, *p) > 0).unwrap();
        scene.read(PAYMENTS, next, 20);
    })
}

pub fn waiting(every: i64, records: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 1, 1, every);
    scene.produce(PAYMENTS, 0, records);
    scene.poll()
}

pub fn ninety_nine(every: i64) -> Scene {
    waiting(every, 99)
}

pub fn hundred(every: i64) -> Scene {
    waiting(every, 100)
}

pub fn five_hundred(every: i64) -> Scene {
    waiting(every, 500)
}

pub fn fourth_member(every: i64) -> Scene {
    Scene::of(PAYMENTS, 3, 4, every).poll()
}

pub fn fourth_joining(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 4, every);
    scene.state("CompletingRebalance");
    scene.poll()
}

pub fn few_assigned(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    scene.join_idle(2);
    scene.poll()
}

pub fn never_committed(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    scene.unknown(PAYMENTS, 1, NoLag::NothingCommitted);
    scene.run(100, |_, _| {})
}

pub fn deleted_topic(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 0, every);
    (0..3).for_each(|p| scene.unknown(PAYMENTS, p, NoLag::TopicDeleted));
    scene.poll()
}

pub fn no_record_yet(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    (0..3).for_each(|p| scene.unknown(PAYMENTS, p, NoLag::NoRecordYet));
    scene.poll()
}

pub fn nothing_at_all(every: i64) -> Scene {
    Scene::of(PAYMENTS, 0, 1, every).poll()
}

pub fn markers(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    (0..3).for_each(|p| scene.mark(PAYMENTS, p));
    scene.run(300, |_, _| {})
}

pub fn open_transaction(every: i64) -> Scene {
    let mut scene = Scene::of(PAYMENTS, 3, 1, every);
    scene.open(PAYMENTS, 0, 1000);
    scene.run(300, |_, _| {})
}
