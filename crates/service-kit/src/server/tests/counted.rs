//! Metrics and log lines of requests.

use std::sync::Mutex;

use super::*;

#[tokio::test]
async fn every_request_is_counted_by_its_route_and_not_its_path() {
    let server = start(LIMITS, LONG).await;
    for (lines, labels) in [
        (
            &["GET /things/1", "GET /things/2?a=b", "GET /things/%31"][..],
            r#"method="GET",route="/things/{id}",status="200""#,
        ),
        (
            &["GET /things/1/parts/b", "GET /things/b/parts/1"],
            r#"method="GET",route="/things/{id}/parts/{part}",status="200""#,
        ),
        (
            &["GET /nowhere/1", "GET /nowhere/2"],
            r#"method="GET",route="unmatched",status="404""#,
        ),
        (
            &["DELETE /things/1"],
            r#"method="DELETE",route="/things/{id}",status="405""#,
        ),
        (
            &["BREW /things/1", "WHEN /things/2"],
            r#"method="other",route="/things/{id}",status="405""#,
        ),
    ] {
        for line in lines {
            server.send(&request(line, "", "")).await;
        }
        assert_eq!(server.counted(labels), lines.len() as u64, "{labels}");
    }
}

#[tokio::test]
async fn requests_that_a_limit_refuses_are_counted() {
    let server = start(
        Limits {
            response_time: SHORT,
            ..LIMITS
        },
        LONG,
    )
    .await;
    let foreign = "Origin: http://evil.example\r\n";
    server.send(&request("POST /echo", foreign, "")).await;
    let refused = r#"method="POST",route="/echo",status="403""#;
    assert_eq!(server.counted(refused), 1);
    let large = "x".repeat(LIMITS.body_bytes + 1);
    server.send(&with_body("/echo", &large)).await;
    let refused = r#"method="POST",route="/echo",status="413""#;
    assert_eq!(server.counted(refused), 1);
    server.send(&request("GET /held", "", "")).await;
    let late = r#"method="GET",route="/held",status="503""#;
    assert_eq!(server.counted(late), 1);
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_request_is_one_debug_line_with_method_route_and_status() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // The subscriber of one thread would not do: `tracing` caches that a log statement is disabled
    // when another thread without a subscriber executes it first.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    tracing::callsite::rebuild_interest_cache();
    let server = start(LIMITS, LONG).await;
    server.send(&request("GET /logged/1", "", "")).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let logged: Vec<_> = text
        .lines()
        .filter(|line| line.contains("/logged/"))
        .collect();
    assert_eq!(logged.len(), 1, "{text}");
    for part in ["DEBUG", "GET", "/logged/{id}", "status=200"] {
        assert!(logged[0].contains(part), "{text}");
    }
}
