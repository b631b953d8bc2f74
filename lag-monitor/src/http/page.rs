//! `GET /` and `GET /page/{file}`: the page with live data. Its files are served as they are in the
//! folder `page`: there is no build step, and the page loads nothing from another origin.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use service_kit::Problem;

const INDEX: &str = include_str!("../../page/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and text of every file except `index.html`. A plain list, since each file needs
/// its media type anyway.
const FILES: &[(&str, &str, &str)] = &[
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("../../page/page.css"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../../page/icon.svg"),
    ),
    ("page.js", SCRIPT, include_str!("../../page/page.js")),
    ("alerts.js", SCRIPT, include_str!("../../page/alerts.js")),
    ("api.js", SCRIPT, include_str!("../../page/api.js")),
    ("burst.js", SCRIPT, include_str!("../../page/burst.js")),
    ("cards.js", SCRIPT, include_str!("../../page/cards.js")),
    ("chart.js", SCRIPT, include_str!("../../page/chart.js")),
    (
        "controls.js",
        SCRIPT,
        include_str!("../../page/controls.js"),
    ),
    ("detail.js", SCRIPT, include_str!("../../page/detail.js")),
    ("dom.js", SCRIPT, include_str!("../../page/dom.js")),
    ("format.js", SCRIPT, include_str!("../../page/format.js")),
    ("history.js", SCRIPT, include_str!("../../page/history.js")),
    ("losses.js", SCRIPT, include_str!("../../page/losses.js")),
    ("stream.js", SCRIPT, include_str!("../../page/stream.js")),
];

/// Scripts, styles, images and requests of this origin only; no inline script or style; no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Sent with every static file: a browser may display it and nothing else.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // Another version of lag-monitor has other files under the same names.
    (CACHE_CONTROL, "no-cache"),
];

pub(super) async fn index() -> Response {
    static_file("text/html; charset=utf-8", INDEX)
}

/// A path that cannot be decoded is a 404 as well, so that every error is a problem document.
pub(super) async fn file(path: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let find = |name: &str| FILES.iter().find(|(known, ..)| *known == name);
    let found = path.ok().and_then(|Path(name)| find(&name));
    let (_, media_type, text) = found.ok_or_else(|| Problem::not_found("no such file"))?;
    Ok(static_file(media_type, text))
}

/// An answer that a browser displays.
pub(super) fn static_file(media_type: &'static str, text: &'static str) -> Response {
    (HEADERS, [(CONTENT_TYPE, media_type)], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_file_is_served_and_every_import_is_a_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let existing: BTreeSet<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(served, existing);
        for (file, _, text) in FILES {
            let imported = text.split("from \"./").skip(1);
            for name in imported.map(|rest| rest.split('"').next().unwrap()) {
                assert!(served.contains(name), "{file} imports {name}");
            }
        }
        let loaded = INDEX.split("\"/page/").skip(1);
        for name in loaded.map(|rest| rest.split('"').next().unwrap()) {
            assert!(served.contains(name), "index.html loads {name}");
        }
    }

    #[test]
    fn no_file_builds_html_from_text_or_loads_another_origin() {
        let index = [("index.html", "", INDEX)];
        for (file, _, text) in index.iter().chain(FILES) {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=",
                "onclick=",
                "//cdn",
                "https://",
            ] {
                assert!(!text.contains(forbidden), "{file} has {forbidden}");
            }
        }
    }
}
