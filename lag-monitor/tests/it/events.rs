//! The stream of what happens.

use reqwest::Response;
use shared_events::Topic;
use test_stack::eventually;
use tokio::time::timeout;

use crate::support::{DEADLINE, Lab};

/// Reads on until the stream has said this.
async fn until_it_says(stream: &mut Response, words: &str) -> String {
    let mut said = String::new();
    let read = async {
        while !said.contains(words) {
            let chunk = stream.chunk().await.unwrap().expect("the stream ended");
            said.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    let read = timeout(DEADLINE, read).await;
    assert!(read.is_ok(), "never {words:?} in {said}");
    said
}

#[tokio::test]
async fn each_poll_and_each_alert_is_told_as_it_happens_until_the_monitor_stops() {
    let lab = Lab::new("events").await;
    lab.publish(Topic::Payments, 0, 3).await;
    lab.commit("watched", Topic::Payments, 0, 3).await;
    let group = lab.name("watched");
    let mut stream = lab.stream().await;
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    until_it_says(&mut stream, &format!("\"group_id\":\"{group}\"")).await;
    lab.publish(Topic::Payments, 0, 4).await;
    let said = until_it_says(&mut stream, "4 records wait and the group has no member").await;
    assert!(
        said.contains("event: state") || said.contains("event: alert"),
        "{said}"
    );
    until_it_says(&mut stream, "event: alert").await;
    lab.stop().await;
    let rest = timeout(DEADLINE, async {
        while let Ok(Some(_)) = stream.chunk().await {}
    })
    .await;
    assert!(rest.is_ok(), "the stream goes on after the end");
}

#[tokio::test]
async fn there_are_so_many_streams_and_no_more() {
    let lab = Lab::new("streams").await;
    let mut streams = Vec::new();
    for n in 0..32 {
        let stream = lab.stream().await;
        assert_eq!(stream.status(), 200, "{n}");
        streams.push(stream);
    }
    assert_eq!(lab.stream().await.status(), 503);
    streams.pop();
    eventually(DEADLINE, "a place is free again", async || {
        let status = lab.stream().await.status().as_u16();
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
    drop(streams);
    lab.stop().await;
}
