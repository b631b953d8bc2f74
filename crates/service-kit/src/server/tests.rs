//! Tests over real connections.

mod counted;
mod drain;
mod limits;
mod refusals;

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

/// A short limit is one that the test reaches; the others are long.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(30);
const LIMITS: Limits = Limits {
    connections: 4,
    header_time: LONG,
    body_bytes: 100,
    body_time: LONG,
    response_time: LONG,
};

/// A handler that notifies `entered`, and then waits for `open`.
#[derive(Default)]
struct Gate {
    entered: Notify,
    open: Notify,
}

impl Gate {
    async fn pass(self: Arc<Self>) {
        self.entered.notify_one();
        self.open.notified().await;
    }
}

struct Server {
    gate: Arc<Gate>,
    address: SocketAddr,
    registry: Registry,
    shutdown: CancellationToken,
    ended: JoinHandle<()>,
}

async fn start(limits: Limits, drain: Duration) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let gate = Arc::<Gate>::default();
    let router = Router::new()
        .route("/echo", post(async |body: Bytes| body))
        .route(
            "/json",
            post(async || Problem::unsupported_media_type("application/json").into_response()),
        )
        .route("/logged/{id}", get(async || "logged"))
        .route("/things/{id}", get(async || "a thing"))
        .route("/things/{id}/parts/{part}", get(async || "a part"))
        .route("/slow", get(async || sleep(SHORT).await))
        .route("/held", get(|State(gate): State<Arc<Gate>>| gate.pass()))
        .with_state(Arc::clone(&gate));
    let registry = Registry::new();
    let metrics = RequestMetrics::new(&registry).unwrap();
    let serving = serve_with_limits(limits, listener, router, metrics, shutdown.clone(), drain);
    #[allow(clippy::disallowed_methods, reason = "the test keeps the handle")]
    let ended = tokio::spawn(serving);
    Server {
        gate,
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

    /// The count of requests with these labels.
    fn counted(&self, labels: &str) -> u64 {
        let text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        let series = format!("http_request_seconds_count{{{labels}}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&series));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// Sends the bytes and reads the response until the server closes the connection.
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
