//! `GET /` and `/page/{file}`: the page that shows all of it, live. Static files, written as they are sent: there is no build step,
//! and nothing is fetched from anywhere else.

use axum::extract::Path;
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use service_kit::Problem;

const INDEX: &str = include_str!("../../page/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and text of every file beside the page itself.
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
    ("calls.js", SCRIPT, include_str!("../../page/calls.js")),
    ("cards.js", SCRIPT, include_str!("../../page/cards.js")),
    ("chart.js", SCRIPT, include_str!("../../page/chart.js")),
    (
        "controls.js",
        SCRIPT,
        include_str!("../../page/controls.js"),
    ),
    ("detail.js", SCRIPT, include_str!("../../page/detail.js")),
    ("dom.js", SCRIPT, include_str!("../../page/dom.js")),
    ("history.js", SCRIPT, include_str!("../../page/history.js")),
    ("load.js", SCRIPT, include_str!("../../page/load.js")),
    ("stream.js", SCRIPT, include_str!("../../page/stream.js")),
    ("words.js", SCRIPT, include_str!("../../page/words.js")),
];

/// Scripts, styles and calls of this origin alone, nothing written into the page itself, and nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every answer that a browser shows has: the browser may do nothing with it but show it.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // Another version of the monitor has other files.
    (CACHE_CONTROL, "no-cache"),
];

pub(super) async fn index() -> Response {
    told("text/html; charset=utf-8", INDEX)
}

pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, media_type, text) = found.ok_or_else(|| Problem::not_found("no such file"))?;
    Ok(told(media_type, text))
}

/// A text for a browser.
pub(super) fn told(media_type: &'static str, text: &'static str) -> Response {
    (HEADERS, [(CONTENT_TYPE, media_type)], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_every_name_in_it_is_a_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let there: BTreeSet<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(served, there);
        for (file, _, text) in FILES {
            let imported = text.split("from \"./").skip(1);
            for name in imported.map(|rest| rest.split('"').next().unwrap()) {
                assert!(served.contains(name), "{file} wants {name}");
            }
        }
        let wanted = INDEX.split("\"/page/").skip(1);
        for name in wanted.map(|rest| rest.split('"').next().unwrap()) {
            assert!(served.contains(name), "the page wants {name}");
        }
    }

    #[test]
    fn no_file_of_the_page_makes_html_or_styles_of_text_or_goes_elsewhere() {
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
