//! Reading and setting the stock.

use inventory_service::http::router;
use prometheus::Registry;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use service_kit::{RequestMetrics, server};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Stock, paid, stock};

/// The service's HTTP API alone. It ends with the test.
struct Api {
    stock: Stock,
    url: String,
    client: Client,
    _server: JoinSet<()>,
}

async fn api(test: &str) -> Api {
    let stock = stock(test).await;
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(server::serve(
        listener,
        router(stock.pool.clone()),
        RequestMetrics::new(&Registry::new()).unwrap(),
        CancellationToken::new(),
        Duration::ZERO,
    ));
    Api {
        stock,
        url,
        client: Client::new(),
        _server: server,
    }
}

impl Api {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::PUT, path).json(body)).await
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_stock_can_be_read_and_set() {
    let api = api("http_stock").await;
    let (status, all) = api.get("/products").await;
    assert_eq!(status, 200);
    assert_eq!(
        all,
        json!({"products": [
            {"productId": "prod_123", "quantity": 9},
            {"productId": "prod_burst", "quantity": 1_000_000_000},
            {"productId": "prod_ignore", "quantity": 1000},
        ]})
    );
    api.stock.decide(&[paid("prod_123", 2)]).await.unwrap();
    let seven = json!({"productId": "prod_123", "quantity": 7});
    assert_eq!(api.get("/products/prod_123").await, (StatusCode::OK, seven));

    let nine = json!({"productId": "prod_123", "quantity": 9});
    let restocked = api.put("/products/prod_123", &json!({"quantity": 9})).await;
    assert_eq!(restocked, (StatusCode::OK, nine.clone()));
    assert_eq!(api.get("/products/prod_123").await, (StatusCode::OK, nine));
}

#[tokio::test]
async fn setting_the_stock_of_an_unknown_product_creates_it() {
    let api = api("http_new").await;
    assert_eq!(api.get("/products/prod_new").await.0, 404);
    let (status, _) = api.put("/products/prod_new", &json!({"quantity": 0})).await;
    assert_eq!(status, 201);
    let (status, _) = api
        .put("/products/prod_new", &json!({"quantity": 1_000_000_000}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(api.stock.left("prod_new").await, 1_000_000_000);
}

#[tokio::test]
async fn a_long_list_is_read_in_pages() {
    let api = api("http_pages").await;
    for n in 0..200 {
        api.stock.put(&format!("prod_a{n:03}"), n).await;
    }
    let mut seen = Vec::new();
    let mut path = "/products".to_owned();
    loop {
        let (status, page) = api.get(&path).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(page["products"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => path = format!("/products?after={next}"),
            None => break,
        }
    }
    let ids: Vec<_> = seen
        .iter()
        .map(|product| product["productId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 203);
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[tokio::test]
async fn a_wrong_quantity_is_answered_with_field_and_limit() {
    let api = api("http_quantity").await;
    for quantity in [
        "-1",
        "1.5",
        "1000000001",
        "1e400",
        "1e2",
        "\"9\"",
        "null",
        "[]",
        "true",
    ] {
        let body = format!(r#"{{"quantity": {quantity}}}"#);
        let request = api
            .request(Method::PUT, "/products/prod_123")
            .header("content-type", "application/json")
            .body(body);
        let (status, problem) = answer(request).await;
        assert_eq!(status, 422, "{quantity}: {problem}");
        let error =
            json!({"field": "quantity", "detail": "must be a whole number from 0 to 1000000000"});
        assert_eq!(problem["errors"], json!([error]), "{quantity}");
    }
    assert_eq!(api.stock.left("prod_123").await, 9);
}

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let api = api("http_table").await;
    let long = format!("/products/{}", "a".repeat(65));
    let put = |path: &str, body: &'static str| {
        api.request(Method::PUT, path)
            .header("content-type", "application/json")
            .body(body)
    };
    let get = |path: &str| api.request(Method::GET, path);
    let good = r#"{"quantity": 1}"#;
    for (request, status, says) in [
        (put("/products/prod_123", ""), 400, "the body is empty"),
        (put("/products/prod_123", "{"), 400, "not JSON"),
        (
            put("/products/prod_123", "[1]"),
            400,
            "must be a JSON object",
        ),
        (put("/products/prod_123", "{}"), 422, "quantity is missing"),
        (
            put("/products/prod_123", r#"{"quantity": 1, "colour": 2}"#),
            422,
            "colour is not a field",
        ),
        (
            put("/products/a%20b", good),
            422,
            "productId must be a text of 1 to 64",
        ),
        (put("/products/%00", good), 422, "productId must be"),
        (put(&long, good), 422, "productId must be"),
        (put("/products/%ff", good), 422, "productId must be"),
        (get("/products/a.b"), 422, "productId must be"),
        (
            get("/products/prod_unheard_of"),
            404,
            "no product prod_unheard_of",
        ),
        (get("/products?after=a.b"), 422, "after must be"),
        (get("/products?befor=a"), 422, "befor is not a parameter"),
        (get("/products?after=a&after=b"), 422, "after"),
        (get("/nowhere"), 404, "no route"),
        (
            api.request(Method::DELETE, "/products/prod_123"),
            405,
            "DELETE",
        ),
        (
            api.request(Method::PUT, "/products/prod_123").body(good),
            415,
            "application/json",
        ),
    ] {
        let shown = format!("{request:?}");
        let response = request.send().await.unwrap();
        let media_type = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(response.status(), status, "{shown}");
        assert_eq!(media_type, "application/problem+json", "{shown}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status, "{shown}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{shown}: {detail}");
    }
}

#[tokio::test]
async fn without_its_database_the_service_answers_503() {
    let api = api("http_away").await;
    api.stock.pool.close().await;
    for request in [
        api.request(Method::GET, "/products"),
        api.request(Method::GET, "/products/prod_123"),
        api.request(Method::PUT, "/products/prod_123")
            .json(&json!({"quantity": 1})),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["detail"], "the stock cannot be reached right now");
    }
}
