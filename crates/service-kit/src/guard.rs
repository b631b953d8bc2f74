//! Keeps web pages out. Services listen on loopback, and any page open in a browser on that machine can send requests there.
//!
//! * A browser says which page sends a request (`Origin`): a page of another origin is refused.
//! * A page can also have its own name resolve to 127.0.0.1 ("DNS rebinding"), and then is of the same origin. So `Host` must
//!   be `localhost`, the name of a service, or an IP literal: nobody can let those names point elsewhere.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Problem;

/// Names that only the network of the services resolves, besides `localhost`.
const SERVICE_NAMES: [&str; 5] = [
    "order-service",
    "payment-service",
    "inventory-service",
    "load-generator",
    "lag-monitor",
];

/// The layer's work: passes the request on, or refuses it with 400 (no usable `Host`), 421 (a foreign `Host`) or 403 (a foreign
/// `Origin`).
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(request: &Request) -> Result<(), Problem> {
    let host = single(request.headers(), HOST)?;
    if let Some(authority) = request.uri().authority() {
        check_host(authority.as_str())?;
    }
    match host {
        Some(host) => check_host(host)?,
        // Nobody reaches a service by rebinding without a browser, and browsers send Host. HTTP/1.0 did not know it.
        None if request.version() == Version::HTTP_10 => {}
        None => return Err(Problem::bad_request("the header Host is missing")),
    }
    match single(request.headers(), ORIGIN)? {
        None => Ok(()),
        Some(origin)
            if origin
                .strip_prefix("http://")
                .is_some_and(|name| Some(name) == host) =>
        {
            Ok(())
        }
        Some(_) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "requests of other web pages (header Origin) are refused",
        )),
    }
}

fn check_host(host: &str) -> Result<(), Problem> {
    let authority: Authority = host
        .parse()
        .map_err(|_| Problem::bad_request("the header Host is no host name"))?;
    let name = authority.host();
    let literal = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    let known = name.eq_ignore_ascii_case("localhost")
        || SERVICE_NAMES
            .iter()
            .any(|service| name.eq_ignore_ascii_case(service));
    if known || literal.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let detail = "the header Host must be localhost, the name of a service, or an IP address";
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail))
}

/// The header's value if it is there once; two of one name are two opinions.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let text = first.map(|value| value.to_str()).transpose();
    match (text, second) {
        (Ok(text), None) => Ok(text),
        _ => Err(Problem::bad_request(
            "the headers Host and Origin must each be one visible ASCII text",
        )),
    }
}
