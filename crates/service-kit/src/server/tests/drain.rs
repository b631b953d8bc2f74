//! The drain at shutdown.

use super::*;

#[tokio::test]
async fn open_requests_end_before_the_server_does() {
    let server = start(LIMITS, LONG).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    idle.read_u8().await.unwrap();
    let mut held = server.connect().await;
    held.write_all(request("GET /held", "", "").as_bytes())
        .await
        .unwrap();
    server.gate.entered.notified().await;
    server.shutdown.cancel();
    rest(&mut idle).await;
    assert!(!server.ended.is_finished(), "a request is still open");
    server.gate.open.notify_one();
    assert!(rest(&mut held).await.starts_with("HTTP/1.1 200"));
    timeout(LONG, server.ended)
        .await
        .expect("serve returns")
        .unwrap();
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn an_open_request_is_closed_after_the_drain() {
    let server = start(LIMITS, SHORT).await;
    let mut held = server.connect().await;
    held.write_all(request("GET /held", "", "").as_bytes())
        .await
        .unwrap();
    server.gate.entered.notified().await;
    server.shutdown.cancel();
    timeout(LONG, server.ended)
        .await
        .expect("serve returns")
        .unwrap();
    assert_eq!(rest(&mut held).await, "");
}
