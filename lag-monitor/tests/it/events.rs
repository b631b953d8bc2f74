//! `GET /events`: the event stream.

use shared_events::Topic;
use test_stack::eventually;
use tokio::time::timeout;

use crate::test_monitor::{DEADLINE, TestMonitor};

/// A stream and its unread bytes: a chunk may have several events, and an event several chunks.
struct EventReader {
    stream: reqwest::Response,
    unread: Vec<u8>,
}

impl EventReader {
    /// Reads until this text; bytes after the text stay unread.
    async fn read_until(&mut self, text: &str) {
        let read = async {
            loop {
                let found = self
                    .unread
                    .windows(text.len())
                    .position(|window| window == text.as_bytes());
                if let Some(at) = found {
                    self.unread.drain(..at + text.len());
                    return;
                }
                let chunk = self.stream.chunk().await.unwrap();
                self.unread.extend(chunk.expect("the stream ended"));
            }
        };
        let read = timeout(DEADLINE, read).await;
        let unread = String::from_utf8_lossy(&self.unread);
        assert!(read.is_ok(), "{text:?} is not in {unread}");
    }
}

#[tokio::test]
async fn the_stream_has_each_poll_and_each_alert_until_shutdown() {
    let monitor = TestMonitor::new("events").await;
    monitor.publish(Topic::Payments, 0, 3).await;
    monitor.commit("watched", Topic::Payments, 0, 3).await;
    let group = monitor.name("watched");
    let stream = monitor.stream().await;
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut events = EventReader {
        stream,
        unread: Vec::new(),
    };
    events
        .read_until(&format!("\"group_id\":\"{group}\""))
        .await;
    monitor.publish(Topic::Payments, 0, 4).await;
    let topic = monitor.name("payments");
    let alert =
        format!("event: alert\ndata: {{\"level\":\"critical\",\"message\":\"{group} on {topic}: ");
    let state = format!(
        r#"{{"group_id":"{group}","topic":"{topic}","total_lag":4,"total_lag_at_least":4,"total_lag_at_most":4,"status":"critical","rule":"no_members","evidence":"4 records wait and the group has no member"#
    );
    // The poll that raises the alert may have seen fewer than four records.
    for text in [
        alert.as_str(),
        " records wait and the group has no member",
        "event: state",
        state.as_str(),
    ] {
        events.read_until(text).await;
    }
    monitor.stop().await;
    let rest = timeout(DEADLINE, async {
        while let Ok(Some(_)) = events.stream.chunk().await {}
    })
    .await;
    assert!(rest.is_ok(), "the stream continues after shutdown");
}

#[tokio::test]
async fn at_most_32_streams_are_open() {
    let monitor = TestMonitor::new("streams").await;
    let mut streams = Vec::new();
    for n in 0..32 {
        let stream = monitor.stream().await;
        assert_eq!(stream.status(), 200, "{n}");
        streams.push(stream);
    }
    assert_eq!(monitor.stream().await.status(), 503);
    streams.pop();
    eventually(DEADLINE, "a stream can be opened again", async || {
        let status = monitor.stream().await.status().as_u16();
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
    drop(streams);
    monitor.stop().await;
}
