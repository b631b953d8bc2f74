//! Over real connections.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use prometheus::{Registry, TextEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::Problem;

/// Short bounds, so that running into one takes no time; the long ones are those a test does not run into.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(30);
const LIMITS: Limits = Limits {
    connections: 4,
    header_time: LONG,
    body_bytes: 100,
    body_time: LONG,
    answer_time: LONG,
};

/// A handler that says when a request is inside, and lets it out when told.
#[derive(Default)]
struct Door {
    entered: Notify,
    open: Notify,
}

impl Door {
    async fn pass(self: Arc<Self>) {
        self.entered.notify_one();
        self.open.notified().await;
    }
}

struct Server {
    door: Arc<Door>,
    address: SocketAddr,
    registry: Registry,
    shutdown: CancellationToken,
    ended: JoinHandle<()>,
}

async fn start(limits: Limits, drain: Duration) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let door = Arc::<Door>::default();
    let router = Router::new()
        .route("/echo", post(async |body: Bytes| body))
        .route(
            "/json",
            post(async || Problem::unsupported_media_type("application/json").into_response()),
        )
        .route("/things/{id}", get(async || "a thing"))
        .route("/things/{id}/parts/{part}", get(async || "a part"))
        .route("/slow", get(async || sleep(SHORT).await))
        .route("/held", get(|State(door): State<Arc<Door>>| door.pass()))
        .with_state(Arc::clone(&door));
    let registry = Registry::new();
    let requests = Requests::new(&registry).unwrap();
    let serving = serve_within(limits, listener, router, requests, shutdown.clone(), drain);
    #[allow(clippy::disallowed_methods, reason = "the test keeps the handle")]
    let ended = tokio::spawn(serving);
    Server {
        door,
        address,
        registry,
        shutdown,
        ended,
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// How many requests of these labels were counted.
    fn counted(&self, labels: &str) -> u64 {
        let text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        let series = format!("http_request_seconds_count{{{labels}}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&series));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// Sends the bytes and reads until the server closes: the whole answer.
    async fn send(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer))
        .await
        .expect("the server closes the connection")
        .unwrap();
    answer
}

fn request(line: &str, headers: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n{headers}\r\n{body}")
}

fn with_body(path: &str, body: &str) -> String {
    request(
        &format!("POST {path}"),
        &format!("Content-Length: {}\r\n", body.len()),
        body,
    )
}

#[track_caller]
fn assert_problem(answer: &str, status: u16, part: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert!(
        answer
            .to_lowercase()
            .contains("content-type: application/problem+json"),
        "{answer}"
    );
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let document: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(document["status"], status, "{document}");
    assert!(
        document["type"].is_string() && document["title"].is_string(),
        "{document}"
    );
    assert!(
        document["detail"].as_str().unwrap().contains(part),
        "{document}"
    );
}

#[tokio::test]
async fn what_a_router_does_not_know_is_a_problem_document() {
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
async fn only_this_machine_and_the_services_may_name_themselves_host() {
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
async fn headers_that_do_not_come_end_the_connection() {
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
        "nor may a connection be idle for ever"
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
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
async fn an_answer_that_does_not_come_is_a_503() {
    let server = start(
        Limits {
            answer_time: SHORT,
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
async fn a_connection_beyond_the_bound_is_served_when_another_ends() {
    let server = start(LIMITS, LONG).await;
    let mut idle = Vec::new();
    for _ in 0..LIMITS.connections {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        // Its first byte of an answer says that this connection has been taken in.
        stream.read_u8().await.unwrap();
        idle.push(stream);
    }
    let mut waiting = server.connect().await;
    waiting
        .write_all(request("GET /slow", "", "").as_bytes())
        .await
        .unwrap();
    let too_many = timeout(SHORT * 3, waiting.read_u8()).await;
    assert!(
        too_many.is_err(),
        "one more than allowed was served: {too_many:?}"
    );
    idle.pop();
    assert!(rest(&mut waiting).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn requests_under_way_end_before_the_server_does() {
    let server = start(LIMITS, LONG).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    idle.read_u8().await.unwrap();
    let mut held = server.connect().await;
    held.write_all(request("GET /held", "", "").as_bytes())
        .await
        .unwrap();
    server.door.entered.notified().await;
    server.shutdown.cancel();
    rest(&mut idle).await;
    assert!(!server.ended.is_finished(), "a request is still under way");
    server.door.open.notify_one();
    assert!(rest(&mut held).await.starts_with("HTTP/1.1 200"));
    timeout(LONG, server.ended)
        .await
        .expect("serve returns")
        .unwrap();
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_after_the_drain() {
    let server = start(LIMITS, SHORT).await;
    let mut held = server.connect().await;
    held.write_all(request("GET /held", "", "").as_bytes())
        .await
        .unwrap();
    server.door.entered.notified().await;
    server.shutdown.cancel();
    timeout(LONG, server.ended)
        .await
        .expect("serve returns")
        .unwrap();
    assert_eq!(rest(&mut held).await, "");
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

#[tokio::test]
async fn every_request_is_counted_by_its_route_and_never_by_its_path() {
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
async fn what_the_server_refuses_by_itself_is_counted_too() {
    let server = start(
        Limits {
            answer_time: SHORT,
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
