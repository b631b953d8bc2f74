//! What happened to a group, up to the moment at which it is judged: its offsets, records and members move. `every` is how often it was polled, seconds.

use super::scene::{PAYMENTS, Scene};
use crate::NoLag;

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
