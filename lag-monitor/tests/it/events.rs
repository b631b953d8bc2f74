//! The stream of what happens.

use shared_events::Topic;
use test_stack::eventually;
use tokio::time::timeout;

use crate::support::{DEADLINE, Lab};

/// What a stream has said and nobody has looked at yet: several events may come in one piece, and one in several.
struct Listener {
    stream: reqwest::Response,
    unread: Vec<u8>,
}

impl Listener {
    /// Reads on until the stream has said this; what came after it is kept for the next look.
    async fn until_it_says(&mut self, words: &str) {
        let read = async {
            loop {
                let said = self
                    .unread
                    .windows(words.len())
                    .position(|said| said == words.as_bytes());
                if let Some(at) = said {
                    self.unread.drain(..at + words.len());
                    return;
                }
                let chunk = self.stream.chunk().await.unwrap();
                self.unread.extend(chunk.expect("the stream ended"));
            }
        };
        let read = timeout(DEADLINE, read).await;
        let unread = String::from_utf8_lossy(&self.unread);
        assert!(read.is_ok(), "never {words:?} in {unread}");
    }
}

#[tokio::test]
async fn each_poll_and_each_alert_is_told_as_it_happens_until_the_monitor_stops() {
    let lab = Lab::new("events").await;
    lab.publish(Topic::Payments, 0, 3).await;
    lab.commit("watched", Topic::Payments, 0, 3).await;
    let group = lab.name("watched");
    let stream = lab.stream().await;
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut listener = Listener {
        stream,
        unread: Vec::new(),
    };
    listener
        .until_it_says(&format!("\"group_id\":\"{group}\""))
        .await;
    lab.publish(Topic::Payments, 0, 4).await;
    let topic = lab.name("payments");
    let alert =
        format!("event: alert\ndata: {{\"level\":\"critical\",\"message\":\"{group} on {topic}: ");
    let state = format!(
        r#"{{"group_id":"{group}","topic":"{topic}","total_lag":4,"status":"critical","rule":"no_members","evidence":"4 records wait and the group has no member"#
    );
    // The poll that tells the alert may have come between the four.
    for told in [
        alert.as_str(),
        " records wait and the group has no member",
        "event: state",
        state.as_str(),
    ] {
        listener.until_it_says(told).await;
    }
    lab.stop().await;
    let rest = timeout(DEADLINE, async {
        while let Ok(Some(_)) = listener.stream.chunk().await {}
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
