//! The program: exit codes, and what it says.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Broker, PATIENCE, ended, output, program, said, start};
use test_stack::eventually;

#[tokio::test]
async fn what_is_asked_wrongly_is_one_line_with_the_bound_and_ends_with_2() {
    for (asked, says) in [
        (&["burst", "--count=0"][..], "1..=5000000"),
        (&["burst", "--count=5000001"], "1..=5000000"),
        (&["burst", "--count=ten"], "--count"),
        (
            &["batch", "--batch-size=100000", "--batches=51"],
            "at most 5000000",
        ),
        (&["continuous", "--events-per-second=0"], "1..=1000000"),
        (&["continuous", "--duration=0s"], "from 1s to 1day"),
        (&["continuous", "--duration=25h"], "from 1s to 1day"),
        (&["burst", "--linger-ms=1001"], "0..=1000"),
        (&["burst", "--batch-bytes=0"], "1..=1000000"),
        (&["burst", "--product=a/b"], "64 letters"),
        (&["burst", "--quantity=10001"], "from 1 to 10000"),
        (&["burst", "--amount=0.001"], "at most two decimals"),
        (&["burst", "--keys=some"], "uniform, zipfian, single"),
        (
            &["burst", "--via=http", "--keys=single"],
            "--keys needs --via kafka",
        ),
        (
            &["burst", "--via=http", "--acks=1"],
            "--acks needs --via kafka",
        ),
        (&["burst", "--order-url=ftp://x"], "http://127.0.0.1:3000"),
        (&["profile", "wild"], "steady, burst"),
        (&["serve", "--batch-size=1001"], "1..=1000"),
        (&["check", "--production-rate-ms=0"], "1..=60000"),
        (&["health", "--port=70000"], "0..=65535"),
    ] {
        let output = output(program(asked)).await;
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{asked:?}: {text}");
        assert!(text.contains(says), "{asked:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{asked:?}: {text}");
    }
}

#[tokio::test]
async fn the_settings_of_the_service_can_be_checked_and_its_health_be_asked_for() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let mut check = program(&["check"]);
    check.env("BATCH_SIZE", "7").env("PORT", "");
    let checked = output(check).await;
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));

    let mut check = program(&["check"]);
    check.env("PRODUCTION_RATE_MS", "x");
    let checked = output(check).await;
    let text = said(&checked);
    assert_eq!(checked.status.code(), Some(2), "{text}");
    assert!(
        text.contains("environment variable PRODUCTION_RATE_MS"),
        "{text}"
    );

    let mut health = program(&["health"]);
    health.env("PORT", &port).env("BATCH_SIZE", "x");
    let asked = output(health).await;
    assert_eq!(asked.status.code(), Some(1));
    assert_eq!(
        said(&asked),
        format!("nobody listens on 127.0.0.1:{port}\n")
    );
}

#[tokio::test]
async fn health_of_a_service_that_reaches_its_broker_ends_with_0() {
    let broker = Broker::new("load_health", 1).await;
    let service = broker.serve(&[]).await;
    service.connected().await;
    let (_, port) = service.url.rsplit_once(':').unwrap();
    let asked = output(program(&["health", "--port", port])).await;
    assert_eq!(asked.status.code(), Some(0), "{}", said(&asked));
    assert!(
        said(&asked).contains(r#""status":"ready""#),
        "{}",
        said(&asked)
    );
    service.stop().await;
}

#[tokio::test]
async fn an_interrupted_load_tells_what_was_acknowledged_and_all_of_that_is_there() {
    let broker = Broker::new("load_interrupt", 3).await;
    let forever = [
        "continuous",
        "--events-per-second=500",
        "--duration=1h",
        "--json",
    ];
    let child = start(broker.command(&forever));
    eventually(PATIENCE, "orders come", async || {
        match broker.records().await.len() {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    let (id, asked) = (child.id().to_string(), Instant::now());
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["interrupted"], true, "{summary}");
    let [acknowledged, failed, not_sent] =
        ["acknowledged", "failed", "not_sent"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(acknowledged + failed + not_sent, 500 * 3600, "{summary}");
    // An order whose receipt did not come in the 3 s that are left has failed, and may be there all the same.
    let there = broker.orders().await.len() as u64;
    let waited = asked.elapsed() >= Duration::from_secs(3);
    assert!(acknowledged > 0 && (failed == 0 || waited), "{summary}");
    assert!(
        (acknowledged..=acknowledged + failed).contains(&there),
        "{there} are there: {summary}"
    );
}

#[tokio::test]
async fn a_load_without_its_topic_says_how_to_make_it() {
    let broker = Broker::new("load_no_topic", 1).await;
    let mut command = broker.command(&["burst"]);
    command.env("NAME_PREFIX", "nobody-has-this-");
    let output = output(command).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no topic nobody-has-this-orders"), "{text}");
    assert!(text.contains("topics create"), "{text}");
}
