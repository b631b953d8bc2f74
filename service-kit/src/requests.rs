//! How many requests there were, how they ended and how long they took: one histogram for every program that serves HTTP.

use std::time::Instant;

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
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

/// The pattern of the route that was found, as an answer carries it from [`name_route`] to [`measure`].
#[derive(Clone)]
struct Route(String);

/// The layer's work. It lies outside of every other, so that what those refuse is counted, too.
pub(crate) async fn measure(
    State(requests): State<Requests>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = label(request.method());
    let response = next.run(request).await;
    let route = response.extensions().get::<Route>();
    let route = route.map_or(UNMATCHED, |route| &route.0);
    let status = response.status();
    let labels = [method, route, status.as_str()];
    let seconds = requests.seconds.with_label_values(&labels);
    seconds.observe(begun.elapsed().as_secs_f64());
    response
}

/// The work of the layer that lies around routes only, and not around what answers for those that are not there.
pub(crate) async fn name_route(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let parameters = RawPathParams::from_request_parts(&mut parts, &()).await;
    let route = parameters.map(|parameters| pattern(parts.uri.path(), &parameters));
    let mut response = next.run(Request::from_parts(parts, body)).await;
    // A parameter that is no text is refused: there is no route for it.
    if let Ok(Some(route)) = route {
        response.extensions_mut().insert(Route(route));
    }
    response
}

/// The path with the names of its parameters in their places: `/orders/{id}`. Parameters are looked for from the end, where
/// they are; a segment with `%` in it can be nothing else.
fn pattern(path: &str, parameters: &RawPathParams) -> Option<String> {
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    let parameters: Vec<_> = parameters.iter().collect();
    let mut end = segments.len();
    for (name, value) in parameters.into_iter().rev() {
        let before = segments.get_mut(..end)?;
        end = before
            .iter()
            .rposition(|segment| segment == value || segment.contains('%'))?;
        *before.get_mut(end)? = format!("{{{name}}}");
    }
    Some(segments.join("/"))
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
