//! Groups, topics and services that are not there, and names that nobody should have chosen.

use reqwest::Method;
use shared_events::Topic;
use test_stack::eventually;

use crate::support::{DEADLINE, Lab, answer, series};
use crate::wire;

#[tokio::test]
async fn what_is_asked_wrongly_is_answered_with_what_there_is() {
    let lab = Lab::new("names").await;
    lab.commit("both", Topic::Payments, 0, 0).await;
    lab.commit("both", Topic::Orders, 0, 0).await;
    lab.commit("one", Topic::Orders, 0, 0).await;
    let (orders, payments) = (lab.name("orders"), lab.name("payments"));
    lab.until("the groups are seen", "/lag?group=one", |status, _| {
        status == 200
    })
    .await;
    lab.until(
        "the groups are seen",
        "/lag?group=both&topic=orders",
        |status, _| status == 200,
    )
    .await;
    for (path, status, words) in [
        (
            "/lag",
            404,
            vec!["no group", "inventory-service-group", "there are: "],
        ),
        (
            "/status?group=nobody",
            404,
            vec!["no group nobody", "there are: "],
        ),
        (
            "/lag?group=both",
            400,
            vec!["topic=", orders.as_str(), payments.as_str()],
        ),
        ("/recommendations?group=both", 400, vec!["topic="]),
        (
            "/lag/history?group=one&topic=payments",
            404,
            vec!["does not read payments", orders.as_str()],
        ),
        (
            "/lag/history?group=one&limit=0",
            422,
            vec!["limit", "1 to 1000"],
        ),
        (
            "/lag/history?group=one&limit=1001",
            422,
            vec!["limit", "1 to 1000"],
        ),
        ("/alerts?limit=x", 422, vec!["limit", "1 to 1000"]),
        ("/alerts?limit=1&limit=2", 422, vec!["limit", "once"]),
        ("/alerts?group=nobody", 404, vec!["no group nobody"]),
        ("/groups?limit=-1", 422, vec!["limit", "1 to 1000"]),
        (
            "/lag?partition=1",
            422,
            vec!["partition is not a parameter"],
        ),
        ("/events?x=1", 422, vec!["x is not a parameter"]),
        (
            "/services/shop/controls",
            404,
            vec!["order-service, payment-service, inventory-service"],
        ),
        ("/nowhere", 404, vec!["no route"]),
    ] {
        let (found, body) = lab.get(path).await;
        assert_eq!(found, status, "{path}: {body}");
        assert_eq!(body["status"], status, "{path}: {body}");
        for word in words {
            assert!(
                body["detail"].as_str().unwrap().contains(word),
                "{path}: no {word:?} in {body}"
            );
        }
    }
    let (status, _) = answer(lab.ask(Method::POST, "/lag")).await;
    assert_eq!(status, 405);
    lab.stop().await;
}

#[tokio::test]
async fn hundreds_of_groups_with_odd_names_make_bounded_and_sound_labels() {
    let lab = Lab::new("labels").await;
    let topic = lab.name("payments");
    let broker = &lab.kafka.bootstrap_servers;
    let long = "x".repeat(20_000);
    let odd = |n: usize| match n % 5 {
        0 => format!("quote\"{n}"),
        1 => format!("line\n{n}\r\u{1b}[31m"),
        2 => format!("back\\slash{n}"),
        3 => format!("{long}{n}"),
        _ => format!("\u{202e}{n}\u{0} ü"),
    };
    for n in 0..300 {
        wire::commit(broker, &format!("{}{}", lab.name(""), odd(n)), &topic, 0, 0).await;
    }
    let wanted = format!("topic=\"{topic}\"");
    let metrics = eventually(DEADLINE, "each group has its series", async || {
        let metrics = lab.metrics_now().await;
        let mine = |name: &str| {
            let all = series(&metrics, name).into_iter();
            all.filter(|(series, _)| series.contains(&wanted)).count()
        };
        match (
            mine("kafka_consumer_group_lag"),
            mine("kafka_consumer_group_lag_total"),
        ) {
            (300, 300) => Ok(metrics),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for line in metrics.lines() {
        assert!(line.len() < 700, "{} bytes: {line}", line.len());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let (status, body) = lab.get("/groups").await;
    assert_eq!(status, 200);
    assert!(
        body.to_string().len() < 600_000,
        "{} bytes",
        body.to_string().len()
    );
    lab.stop().await;
}
