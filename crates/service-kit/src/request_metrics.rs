//! The histogram of request times, the same for every program that serves HTTP.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{Error, HistogramOpts, HistogramVec, Registry, exponential_buckets};

/// The label of a request without a route. The path is no label, because clients choose it freely.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The histogram `http_request_seconds` of one program, by method, route and status. Clones share
/// it.
#[derive(Clone)]
pub struct RequestMetrics {
    seconds: HistogramVec,
}

impl RequestMetrics {
    /// Registers `http_request_seconds`. Fails if the registry has a metric of that name.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let opts = HistogramOpts::new(
            "http_request_seconds",
            "Time from a request's headers until its response began. Requests that the client aborted are not counted.",
        );
        // 0.5 ms to 4 s, doubling.
        let opts = opts.buckets(exponential_buckets(0.000_5, 2.0, 14)?);
        let seconds = HistogramVec::new(opts, &["method", "route", "status"])?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { seconds })
    }
}

/// A middleware. It is the outermost layer, so it also counts requests that another layer refuses.
pub(crate) async fn measure(
    State(metrics): State<RequestMetrics>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = label(request.method());
    let response = next.run(request).await;
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let status = response.status();
    let labels = [method, route, status.as_str()];
    let seconds = metrics.seconds.with_label_values(&labels);
    seconds.observe(started.elapsed().as_secs_f64());
    response
}

/// The methods of RFC 9110 and RFC 5789 by name. All others share one label, because clients can
/// invent any number of methods.
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
