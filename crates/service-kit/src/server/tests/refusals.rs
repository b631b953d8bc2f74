//! Requests that the server refuses before a handler sees them.

use super::*;

#[tokio::test]
async fn unknown_routes_and_methods_get_problem_documents() {
    let server = start(LIMITS, LONG).await;
    assert_problem(
        &server.send(&request("GET /nowhere", "", "")).await,
        404,
        "/nowhere",
    );
    let refused = server.send(&request("DELETE /echo", "", "")).await;
    assert_problem(&refused, 405, "DELETE");
    assert!(refused.contains("allow: POST"), "{refused}");
    assert_problem(
        &server.send(&with_body("/json", "x")).await,
        415,
        "application/json",
    );
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_however_it_is_sent() {
    let server = start(LIMITS, LONG).await;
    let fits = "x".repeat(LIMITS.body_bytes);
    assert!(
        server
            .send(&with_body("/echo", &fits))
            .await
            .ends_with(&format!("\r\n\r\n{fits}"))
    );
    let more = "x".repeat(LIMITS.body_bytes + 1);
    assert_problem(
        &server.send(&with_body("/echo", &more)).await,
        413,
        "100 bytes",
    );
    assert_problem(
        &server.send(&with_body("/echo", &"x".repeat(500_000))).await,
        413,
        "100 bytes",
    );
    let chunked = format!("{:x}\r\n{more}\r\n0\r\n\r\n", more.len());
    let chunked = request("POST /echo", "Transfer-Encoding: chunked\r\n", &chunked);
    assert_problem(&server.send(&chunked).await, 413, "100 bytes");
    let asking = request(
        "POST /echo",
        "Content-Length: 999999\r\nExpect: 100-continue\r\n",
        "",
    );
    assert_problem(&server.send(&asking).await, 413, "100 bytes");
}

#[tokio::test]
async fn host_must_be_this_machine_a_service_or_an_ip_address() {
    let server = start(LIMITS, LONG).await;
    for good in [
        "localhost",
        "LOCALHOST:3000",
        "127.0.0.1:3000",
        "[::1]:3000",
        "10.1.2.3",
        "inventory-service:8001",
    ] {
        let answer = server
            .send(&format!(
                "GET /slow HTTP/1.1\r\nHost: {good}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{good}: {answer}");
    }
    for (bad, status) in [
        ("evil.example", 421),
        ("localhost.evil.example:3000", 421),
        ("", 400),
        ("a b", 400),
        ("x\r\nHost: localhost", 400),
    ] {
        let answer = server
            .send(&format!(
                "GET /slow HTTP/1.1\r\nHost: {bad}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert_problem(&answer, status, "Host");
    }
    assert_problem(
        &server
            .send("GET /slow HTTP/1.1\r\nConnection: close\r\n\r\n")
            .await,
        400,
        "Host",
    );
    let elsewhere =
        "GET http://evil.example/slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_problem(&server.send(elsewhere).await, 421, "Host");
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let server = start(LIMITS, LONG).await;
    let own = server
        .send(&request("POST /echo", "Origin: http://localhost:1\r\n", ""))
        .await;
    assert!(own.starts_with("HTTP/1.1 200"), "{own}");
    for foreign in [
        "http://evil.example",
        "http://localhost:2",
        "https://localhost:1",
        "null",
    ] {
        let answer = server
            .send(&request(
                "POST /echo",
                &format!("Origin: {foreign}\r\n"),
                "",
            ))
            .await;
        assert_problem(&answer, 403, "Origin");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = bind(address).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("port {} is taken", address.port())),
        "{error}"
    );
}
