//! The program: exit codes and messages.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Broker, PATIENCE, all_output, output, program, start, wait_for_exit};
use test_stack::eventually;

#[tokio::test]
async fn a_wrong_argument_is_one_line_with_its_bound_and_exit_code_2() {
    for (arguments, says) in [
        (&["burst", "--count=0"][..], "from 1 to 5000000"),
        (&["burst", "--count=5000001"], "from 1 to 5000000"),
        (&["burst", "--count=ten"], "from 1 to 5000000"),
        (
            &["batch", "--batch-size=100000", "--batches=51"],
            "at most 5000000",
        ),
        (
            &["continuous", "--events-per-second=0"],
            "from 1 to 1000000",
        ),
        (
            &["continuous", "--events-per-second=0.5"],
            "from 1 to 1000000",
        ),
        (&["continuous", "--duration=0s"], "from 1s to 1day"),
        (&["continuous", "--duration=25h"], "from 1s to 1day"),
        (&["burst", "--linger-ms=1001"], "from 0 to 1000"),
        (&["burst", "--batch-bytes=0"], "from 1 to 1000000"),
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
        (&["serve", "--batch-size=1001"], "from 1 to 1000"),
        (&["check", "--production-rate-ms=0"], "from 1 to 60000"),
        (&[], "burst, batch, continuous, profile or serve"),
        (&["burts"], "burst"),
        (&["profile"], "steady, burst"),
        (&["health", "--port=70000"], "from 0 to 65535"),
    ] {
        let output = output(program(arguments)).await;
        let text = all_output(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn check_validates_settings_and_health_reports_a_closed_port() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let mut check = program(&["check"]);
    check.env("BATCH_SIZE", "7").env("PORT", "");
    let checked = output(check).await;
    assert_eq!(checked.status.code(), Some(0), "{}", all_output(&checked));

    let mut check = program(&["check"]);
    check.env("PRODUCTION_RATE_MS", "x");
    let checked = output(check).await;
    let text = all_output(&checked);
    assert_eq!(checked.status.code(), Some(2), "{text}");
    assert!(
        text.contains("environment variable PRODUCTION_RATE_MS"),
        "{text}"
    );

    let mut health = program(&["health"]);
    health.env("PORT", &port).env("BATCH_SIZE", "x");
    let checked = output(health).await;
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(
        all_output(&checked),
        format!("no process listens on 127.0.0.1:{port}\n")
    );
}

#[tokio::test]
async fn health_of_a_connected_service_exits_with_0() {
    let broker = Broker::new("load_health", 1).await;
    let service = broker.serve(&[]).await;
    service.wait_until_connected().await;
    let (_, port) = service.url.rsplit_once(':').unwrap();
    let checked = output(program(&["health", "--port", port])).await;
    assert_eq!(checked.status.code(), Some(0), "{}", all_output(&checked));
    assert!(
        all_output(&checked).contains(r#""status":"ready""#),
        "{}",
        all_output(&checked)
    );
    service.stop().await;
}

#[tokio::test]
async fn an_interrupted_load_reports_what_was_acknowledged() {
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
    let (id, interrupted_at) = (child.id().to_string(), Instant::now());
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    let output = wait_for_exit(child).await;
    assert_eq!(output.status.code(), Some(130), "{}", all_output(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["interrupted"], true, "{summary}");
    let [acknowledged, failed, not_sent] =
        ["acknowledged", "failed", "not_sent"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(acknowledged + failed + not_sent, 500 * 3600, "{summary}");
    // An order without a delivery report within 3 s counts as failed, and may be in the topic all
    // the same.
    let in_topic = broker.orders().await.len() as u64;
    let waited = interrupted_at.elapsed() >= Duration::from_secs(3);
    assert!(acknowledged > 0 && (failed == 0 || waited), "{summary}");
    assert!(
        (acknowledged..=acknowledged + failed).contains(&in_topic),
        "{in_topic} are in the topic: {summary}"
    );
}

#[tokio::test]
async fn a_load_without_its_topic_says_how_to_create_it() {
    let broker = Broker::new("load_no_topic", 1).await;
    let mut command = broker.command(&["burst"]);
    command.env("NAME_PREFIX", "missing-");
    let output = output(command).await;
    let text = all_output(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no topic missing-orders"), "{text}");
    assert!(text.contains("topics create"), "{text}");
}
