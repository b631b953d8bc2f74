//! The bounds of the API.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::api::connected_service;
use crate::support::answer;

#[tokio::test]
async fn a_wrong_value_is_answered_with_its_field_and_its_bound() {
    let (broker, service) = connected_service("api_bounds", &[]).await;
    let text = |path: &'static str, body: &str| {
        let request = service.request(Method::POST, path);
        let request = request.header("content-type", "application/json");
        (path, body.to_owned(), request.body(body.to_owned()))
    };
    let mut wrong = Vec::new();
    let bounds = [
        ("/config", "rate_ms", "from 1 to 60000", "60001"),
        ("/config", "batch_size", "from 1 to 1000", "1001"),
        ("/burst", "count", "from 1 to 100000", "100001"),
        ("/burst", "delay_ms", "from 0 to 1000", "1001"),
    ];
    for (path, field, bound, beyond) in bounds {
        for value in [beyond, "-1", "1.5", "1e400", "\"2\"", "null", "[]", "true"] {
            let body = format!(r#"{{"{field}": {value}}}"#);
            wrong.push((text(path, &body), field, bound));
        }
    }
    for body in [r#"{"running": 1}"#, r#"{"running": "true"}"#] {
        wrong.push((text("/config", body), "running", "true or false"));
    }
    wrong.push((text("/config", r#"{"rate": 1}"#), "rate", "is not a field"));
    let pauses = r#"{"count": 90001, "delay_ms": 10}"#;
    wrong.push((
        text("/burst", pauses),
        "delay_ms",
        "at most 6 with this count",
    ));
    for (path, bound) in [
        ("/produce/batch", "is missing"),
        ("/produce/batch?count=0", "from 1 to 10000"),
        ("/produce/batch?count=10001", "from 1 to 10000"),
        ("/produce/batch?count=x", "from 1 to 10000"),
        ("/produce/batch?count=1&count=2", "given once"),
    ] {
        let request = service.request(Method::POST, path);
        wrong.push(((path, String::new(), request), "count", bound));
    }
    for ((path, body, request), field, bound) in wrong {
        let (status, problem) = answer(request).await;
        assert_eq!(status, 422, "{path} {body}: {problem}");
        assert_eq!(
            problem["errors"][0]["field"], field,
            "{path} {body}: {problem}"
        );
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(bound), "{path} {body}: {problem}");
    }
    let unreadable: Vec<(StatusCode, Value)> = vec![
        answer(text("/burst", "{").2).await,
        answer(service.request(Method::POST, "/burst").body("x=1")).await,
    ];
    assert_eq!(
        [unreadable[0].0, unreadable[1].0],
        [StatusCode::BAD_REQUEST, StatusCode::UNSUPPORTED_MEDIA_TYPE]
    );
    assert!(broker.records().await.is_empty());
    service.stop().await;
}
