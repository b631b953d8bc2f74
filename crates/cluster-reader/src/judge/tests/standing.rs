//! What happened to a group, up to the moment at which it is judged: it rests, works or stands still. `every` is how often it was polled, seconds.

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
