//! Limits of time and of connections.

use super::*;

#[tokio::test]
async fn a_connection_without_complete_headers_is_closed() {
    let server = start(
        Limits {
            header_time: SHORT,
            ..LIMITS
        },
        LONG,
    )
    .await;
    assert_eq!(server.send("GET /slow HTTP/1.1\r\nHost: local").await, "");
    assert_eq!(
        server.send("").await,
        "",
        "an idle connection is closed too"
    );
}

#[tokio::test]
async fn an_incomplete_body_is_a_408() {
    let server = start(
        Limits {
            body_time: SHORT,
            ..LIMITS
        },
        LONG,
    )
    .await;
    let answer = server
        .send(&request("POST /echo", "Content-Length: 5\r\n", "x"))
        .await;
    assert_problem(&answer, 408, "body");
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_a_503() {
    let server = start(
        Limits {
            response_time: SHORT,
            ..LIMITS
        },
        LONG,
    )
    .await;
    let answer = server.send(&request("GET /held", "", "")).await;
    assert_problem(&answer, 503, "too long");
    assert!(answer.contains("retry-after: 1"), "{answer}");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_another_to_end() {
    let server = start(LIMITS, LONG).await;
    let mut idle = Vec::new();
    for _ in 0..LIMITS.connections {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        // The first byte of the response shows that the connection was accepted.
        stream.read_u8().await.unwrap();
        idle.push(stream);
    }
    let mut waiting = server.connect().await;
    waiting
        .write_all(request("GET /slow", "", "").as_bytes())
        .await
        .unwrap();
    let response = timeout(SHORT * 3, waiting.read_u8()).await;
    assert!(
        response.is_err(),
        "a connection beyond the limit was served: {response:?}"
    );
    idle.pop();
    assert!(rest(&mut waiting).await.starts_with("HTTP/1.1 200"));
}
