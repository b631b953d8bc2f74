//! Wrong requests.

use serde_json::{Value, json};

use crate::support::{Instance, answer, count, database, order, without_kafka};

async fn shop(test: &str) -> (Instance, sqlx::PgPool) {
    let (url, pool) = database(test).await;
    (without_kafka(&url, &[]).await, pool)
}

/// The usual order with one field replaced.
fn with(field: &str, value: &str) -> String {
    let fields = [
        ("customerId", "\"cust_1\""),
        ("productId", "\"prod_123\""),
        ("quantity", "2"),
        ("amount", "250.50"),
    ];
    let written = fields
        .map(|(name, good)| format!("\"{name}\": {}", if name == field { value } else { good }));
    format!("{{{}}}", written.join(", "))
}

async fn nothing_was_written(pool: &sqlx::PgPool) {
    assert_eq!(count(pool, "SELECT count(*) FROM orders").await, 0);
    assert_eq!(count(pool, "SELECT count(*) FROM outbox").await, 0);
    assert_eq!(
        count(pool, "SELECT count(*) FROM idempotency_keys").await,
        0
    );
}

#[tokio::test]
async fn an_unreadable_body_is_answered_with_400() {
    let (shop, pool) = shop("unreadable").await;
    for body in [
        &b""[..],
        b"{",
        b"nonsense",
        b"[]",
        b"12",
        b"null",
        b"{\"customerId\": \"a\xff\"}",
        b"{} {}",
    ] {
        answer(shop.order(body.to_vec()))
            .await
            .is_problem(400, &["body"]);
    }
    let nothing = shop.client.post(format!("{}/orders", shop.base));
    answer(nothing).await.is_problem(400, &["empty"]);
    nothing_was_written(&pool).await;
}

#[tokio::test]
async fn only_json_of_a_bounded_size_is_accepted() {
    let (shop, pool) = shop("type_and_size").await;
    let url = format!("{}/orders", shop.base);
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
    ] {
        let request = shop.client.post(&url).header("Content-Type", content_type);
        answer(request.body(order().to_string()))
            .await
            .is_problem(415, &["application/json"]);
    }
    answer(shop.client.post(&url).body(order().to_string()))
        .await
        .is_problem(415, &["application/json"]);
    let large = format!("{}{}", order(), " ".repeat(16 * 1024));
    answer(shop.order(large)).await.is_problem(413, &["16384"]);
    nothing_was_written(&pool).await;
    let with_charset = shop
        .client
        .post(&url)
        .header("Content-Type", "application/json; charset=utf-8");
    assert_eq!(
        answer(with_charset.body(order().to_string())).await.status,
        202
    );
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problem_documents() {
    let (shop, _pool) = shop("routes").await;
    for path in [
        "/",
        "/order",
        "/orders/",
        "/orders/a/b",
        "/orders/a/events/b",
    ] {
        shop.get(path).await.is_problem(404, &[]);
    }
    answer(shop.client.delete(format!("{}/orders", shop.base)))
        .await
        .is_problem(405, &["DELETE"]);
    answer(shop.client.post(format!("{}/orders/x", shop.base)))
        .await
        .is_problem(405, &["POST"]);
}

#[tokio::test]
async fn a_wrong_field_is_named_with_its_limit() {
    let (shop, pool) = shop("wrong_field").await;
    let long = format!("\"{}\"", "a".repeat(65));
    let numbers = [
        "0",
        "-1",
        "1.5",
        "1.0",
        "1000000000",
        "10001",
        "1e400",
        "\"2\"",
        "NaN",
        "null",
        "true",
        "[]",
        "{}",
    ];
    for value in numbers {
        answer(shop.order(with("quantity", value)))
            .await
            .names_wrong_fields(&["quantity"], "from 1 to 10000");
    }
    let amounts = [
        "-1",
        "0",
        "0.00",
        "0.001",
        "10.123",
        "1000000.01",
        "1e400",
        "\"12\"",
        "NaN",
        "Infinity",
        "null",
        "false",
        "[1]",
    ];
    for value in amounts {
        answer(shop.order(with("amount", value)))
            .await
            .names_wrong_fields(&["amount"], "0.01 to 1000000.00");
    }
    let ids = [
        "\"\"",
        &long,
        "\"a b\"",
        "\"a\\u0000\"",
        "\"ü\"",
        "\"a/b\"",
        "\"a;--\"",
        "12",
        "null",
        "{}",
        "[\"a\"]",
    ];
    for field in ["customerId", "productId"] {
        for value in ids {
            answer(shop.order(with(field, value)))
                .await
                .names_wrong_fields(&[field], "1 to 64");
        }
    }
    nothing_was_written(&pool).await;
}

#[tokio::test]
async fn missing_unknown_and_repeated_fields_are_all_named_at_once() {
    let (shop, pool) = shop("many_fields").await;
    shop.post(&json!({})).await.names_wrong_fields(
        &["customerId", "productId", "quantity", "amount"],
        "is missing",
    );
    let body = json!({"customerId": "a b", "productId": "prod_123", "qty": 2, "amount": 0});
    shop.post(&body).await.names_wrong_fields(
        &["customerId", "quantity", "amount", "qty"],
        "is not a field",
    );
    let twice = with("quantity", "2, \"quantity\": 3");
    answer(shop.order(twice))
        .await
        .names_wrong_fields(&["quantity"], "twice");
    let mut unknown = order();
    unknown["status"] = Value::from("CONFIRMED");
    shop.post(&unknown)
        .await
        .names_wrong_fields(&["status"], "is not a field");
    nothing_was_written(&pool).await;
}

#[tokio::test]
async fn the_bounds_themselves_are_accepted() {
    let (shop, _pool) = shop("bounds_taken").await;
    let longest = format!("\"{}\"", "a".repeat(64));
    let good = [
        ("quantity", "1"),
        ("quantity", "10000"),
        ("amount", "0.01"),
        ("amount", "1000000.00"),
        ("amount", "2.5e2"),
        ("customerId", &*longest),
    ];
    for (field, value) in good {
        let taken = answer(shop.order(with(field, value))).await;
        assert_eq!(taken.status, 202, "{field} {value}: {}", taken.body);
    }
}

#[tokio::test]
async fn wrong_headers_are_refused_with_their_limit() {
    let (shop, pool) = shop("wrong_headers").await;
    for name in ["Idempotency-Key", "X-Correlation-Id"] {
        for value in [&b""[..], b"a b", "ü".as_bytes(), &[b'a'; 129]] {
            let request = shop.order(order().to_string()).header(name, value);
            answer(request)
                .await
                .names_wrong_fields(&[&name.to_lowercase()], "1 to 128 visible ASCII");
        }
        let twice = shop
            .order(order().to_string())
            .header(name, "a")
            .header(name, "b");
        answer(twice)
            .await
            .names_wrong_fields(&[&name.to_lowercase()], "once");
    }
    nothing_was_written(&pool).await;
}
