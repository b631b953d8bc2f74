//! Refuses requests of other web pages. Services listen on loopback, and any page open in a browser
//! on the same machine can send requests there.
//!
//! * The browser names the page's origin in `Origin`. Requests of another origin are refused.
//! * A page can let its own name resolve to 127.0.0.1 (DNS rebinding) and then has the same origin.
//!   `Host` must therefore be `localhost`, the name of a service, or an IP literal: an attacker
//!   controls none of these names.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Problem;

/// Names that only the services' own network resolves.
const SERVICE_NAMES: [&str; 6] = [
    "order-service",
    "payment-service",
    "inventory-service",
    "load-generator",
    "lag-monitor",
    "payment-gateway",
];

/// A middleware: 400 without a valid `Host`, 421 for another `Host`, 403 for another `Origin`.
pub(crate) async fn check_host_and_origin(request: Request, next: Next) -> Response {
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
        // DNS rebinding needs a browser, and browsers always send Host. HTTP/1.0 does not require
        // it.
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
        .map_err(|_| Problem::bad_request("the header Host is not a host name"))?;
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

/// The header's value; `None` if it is missing. A repeated header is an error, because two programs
/// may read different values of it.
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
