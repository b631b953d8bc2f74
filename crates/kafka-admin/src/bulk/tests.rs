//! What becomes of a load whose client is replaced.

use std::sync::Mutex;

use rdkafka::ClientContext;
use service_kit::Readiness;

use super::*;
use crate::connection::Need;
use kafka_runtime::stray::tests::statistics;

#[test]
fn a_client_that_lost_every_broker_is_replaced_and_what_it_had_on_its_way_has_failed() {
    let receipts = Arc::<Mutex<Vec<(usize, bool)>>>::default();
    let told = Arc::clone(&receipts);
    let told = move |receipt: Receipt<'_>| {
        let one = (receipt.tag, receipt.outcome.is_ok());
        told.lock().unwrap().push(one);
    };
    // A copy: a panic with the lock held would come again in the callback of a C library.
    let so_far = || receipts.lock().unwrap().clone();
    let connection = Connection::new(Readiness::new("test").component("kafka"), Need::Required);
    let mut config = ClientConfig::new();
    // Nobody listens there, and statistics come from this test only.
    config.set("bootstrap.servers", "127.0.0.1:1");
    let told = Receipts::new(connection, false, told);
    let bulk = Bulk::with(config, "orders".to_owned(), told).unwrap();
    let record = |tag| BulkRecord {
        key: b"key",
        value: b"value",
        headers: &[],
        partition: None,
        tag,
    };
    bulk.send(&record(1)).unwrap();
    for nodes in [&[1][..], &[], &[]] {
        assert!(so_far().is_empty());
        bulk.producer().context().stats(statistics(nodes));
        bulk.take_receipts();
    }
    assert_eq!(so_far(), [(1, false)]);
    assert!(!bulk.producer().context().brokers.are_lost());
    // What comes now waits for a broker again.
    bulk.send(&record(2)).unwrap();
    bulk.take_receipts();
    assert_eq!((bulk.in_flight(), so_far().len()), (1, 1));
}
