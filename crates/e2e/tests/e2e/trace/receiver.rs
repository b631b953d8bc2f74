//! A receiver of traces over OTLP/HTTP, like a collector or Jaeger.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message;
use tokio::task::JoinSet;

/// A span as it was received.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    pub parent: Vec<u8>,
    pub links: Vec<Vec<u8>>,
    pub error: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

type Received = Arc<Mutex<Vec<Span>>>;

/// Listens until it is dropped.
pub struct Receiver {
    pub url: String,
    received: Received,
    _server: JoinSet<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Received::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&received));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            received,
            _server: server,
        }
    }

    /// All spans received so far.
    pub fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap().clone()
    }

    /// The spans of an order's trace; none before the span of its request has arrived.
    pub fn of_order(&self, order: &str) -> Vec<Span> {
        let spans = self.spans();
        let is_request = |span: &&Span| {
            span.attributes
                .get("order.id")
                .is_some_and(|id| id == order)
        };
        let Some(request) = spans.iter().find(is_request) else {
            return Vec::new();
        };
        let trace = request.trace.clone();
        spans
            .into_iter()
            .filter(|span| span.trace == trace)
            .collect()
    }
}

async fn take(State(received): State<Received>, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let about = resource.resource.unwrap_or_default().attributes;
        let service = texts(&about)["service.name"].clone();
        let spans = resource
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans);
        let read = spans.map(|span| Span {
            service: service.clone(),
            attributes: texts(&span.attributes),
            name: span.name,
            trace: span.trace_id,
            id: span.span_id,
            parent: span.parent_span_id,
            links: span.links.into_iter().map(|link| link.span_id).collect(),
            error: span
                .status
                .filter(|status| status.code == 2)
                .map(|status| status.message),
        });
        received.lock().unwrap().extend(read);
    }
    StatusCode::OK
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |one: &KeyValue| {
        let value = match one.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => text.clone(),
            other => format!("{other:?}"),
        };
        Some((one.key.clone(), value))
    };
    attributes.iter().filter_map(text).collect()
}
