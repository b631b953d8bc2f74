//! What a poll costs. Run by hand: `--ignored --nocapture measure`.

use std::fs;
use std::time::{Duration, Instant};

use crate::rig::{Rig, began, reader};

/// User and system time of this thread, in clock ticks of 10 ms.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after) = stat.rsplit_once(')').unwrap();
    let numbers: Vec<&str> = after.split_whitespace().collect();
    numbers[11].parse::<u64>().unwrap() + numbers[12].parse::<u64>().unwrap()
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure_a_poll_of_50_groups_and_500_partitions() {
    let stack = test_stack::exclusive().await;
    let rig = Rig::on(&stack.bootstrap(), "many-");
    for topic in 0..50 {
        rig.topic(&topic.to_string(), 10).await;
        let sender = rig.producer(&[("linger.ms", "0")]);
        for partition in 0..10 {
            sender.record(&topic.to_string(), partition, began(), b"value");
            sender.record(&topic.to_string(), partition, began(), b"value");
        }
        sender.flush();
        for partition in 0..10 {
            rig.commit(
                &topic.to_string(),
                &topic.to_string(),
                partition,
                i64::from(partition % 3),
            );
        }
    }
    let mut reader = reader(&rig.bootstrap, Duration::from_secs(10));
    let began = Instant::now();
    let first = reader.poll().await.unwrap();
    println!(
        "first poll: {:?}; groups {}",
        began.elapsed(),
        first.groups.len()
    );
    let (began, before) = (Instant::now(), ticks());
    for _ in 0..200 {
        reader.poll().await.unwrap();
    }
    let (elapsed, cpu) = (began.elapsed() / 200, (ticks() - before) * 10_000 / 200);
    println!("each of 200 more: {elapsed:?}, cpu {cpu} µs");
}
