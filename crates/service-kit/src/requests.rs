//! How many requests there were, how they ended and how long they took: one histogram for every program that serves HTTP.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{Error, HistogramOpts, HistogramVec, Registry, exponential_buckets};

/// The route of a request that none was found for: its path is the client's to choose, and no label.
const UNMATCHED: &str = "unmatched";

/// The requests of one program. Clones are the same ones.
#[derive(Clone)]
pub struct Requests {
    seconds: HistogramVec,
}

impl Requests {
    /// Registers `http_request_seconds`. Fails if the registry has it already.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let opts = HistogramOpts::new(
            "http_request_seconds",
            "From a request's headers until its answer began. One that a client gave up is not counted.",
        );
        // 0.5 ms to 4 s, doubling.
        let opts = opts.buckets(exponential_buckets(0.000_5, 2.0, 14)?);
        let seconds = HistogramVec::new(opts, &["method", "route", "status"])?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { seconds })
    }
}

/// The layer's work. It lies outside of every other, so that what those refuse is counted, too.
pub(crate) async fn measure(
    State(requests): State<Requests>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = label(request.method());
    let response = next.run(request).await;
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let status = response.status();
    let labels = [method, route, status.as_str()];
    let seconds = requests.seconds.with_label_values(&labels);
    seconds.observe(begun.elapsed().as_secs_f64());
    response
}

/// The methods of RFC 9110 and RFC 5789 by name. Any other is one: a client may invent as many as it likes.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}
