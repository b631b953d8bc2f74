//! The wire format of events: key, headers and JSON, and which records are poison.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "an unexpected value fails the test"
)]

use chrono::{DateTime, Utc};
use proptest::collection::vec;
use proptest::prelude::{any, prop, proptest};
use shared_events::headers::{CAUSATION_ID, CORRELATION_ID, EVENT_ID, EVENT_TYPE, TRACEPARENT};
use shared_events::{
    CorrelationId, Decoded, Envelope, Event, EventType, InventoryOutOfStock, InventoryReserved,
    OrderCreated, OrderId, PaymentFailed, PaymentId, PaymentRefunded, PaymentSucceeded,
    PoisonClass, Quantity, TraceParent,
};

const ORDER: &str = "0199a0a0-0000-7000-8000-00000000000a";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// One event of each type, all of the same order.
fn events() -> [Event; 6] {
    let order_id: OrderId = ORDER.parse().unwrap();
    let payment_id = PaymentId::of(order_id);
    let product_id = || "prod_1".parse().unwrap();
    let quantity = Quantity::new(2).unwrap();
    let amount = "250.5".parse().unwrap();
    let occurred_at: DateTime<Utc> = "2026-01-02T03:04:05.678Z".parse().unwrap();
    [
        OrderCreated {
            order_id,
            customer_id: "cust_1".parse().unwrap(),
            product_id: product_id(),
            quantity,
            amount,
            occurred_at,
        }
        .into(),
        PaymentSucceeded {
            order_id,
            payment_id,
            product_id: product_id(),
            quantity,
            amount,
            occurred_at,
        }
        .into(),
        PaymentFailed {
            order_id,
            amount,
            reason: "amount_above_limit".to_owned(),
            occurred_at,
        }
        .into(),
        InventoryReserved {
            order_id,
            product_id: product_id(),
            quantity,
            occurred_at,
        }
        .into(),
        InventoryOutOfStock {
            order_id,
            payment_id,
            product_id: product_id(),
            quantity,
            amount,
            reason: "out_of_stock".to_owned(),
            occurred_at,
        }
        .into(),
        PaymentRefunded {
            order_id,
            payment_id,
            amount,
            reason: "out_of_stock".to_owned(),
            occurred_at,
        }
        .into(),
    ]
}

fn envelope(event: Event) -> Envelope {
    let correlation_id = CorrelationId::new("request-1").unwrap();
    Envelope::first(event, correlation_id, TRACE.parse().unwrap())
}

/// A record that a test can change before it is decoded.
struct TestRecord {
    key: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    value: Option<Vec<u8>>,
}

impl TestRecord {
    fn of(envelope: &Envelope) -> Self {
        let headers = envelope.header_pairs().into_iter();
        let headers = headers.map(|(name, value)| (name.to_owned(), Some(value.into_bytes())));
        Self {
            key: Some(envelope.key().into_bytes()),
            headers: headers.collect(),
            value: Some(envelope.value().unwrap()),
        }
    }

    fn with_header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), Some(value.to_vec())));
        self
    }

    fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self
    }

    fn with_value(mut self, value: impl AsRef<[u8]>) -> Self {
        self.value = Some(value.as_ref().to_vec());
        self
    }

    fn decode(&self) -> Result<Decoded, shared_events::Poison> {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_deref()));
        Envelope::decode(self.key.as_deref(), headers, self.value.as_deref())
    }
}

#[test]
fn the_json_of_each_event_is_this() {
    let payment = PaymentId::of(ORDER.parse().unwrap());
    let order = format!(r#""orderId":"{ORDER}""#);
    let time = r#""occurredAt":"2026-01-02T03:04:05.678Z""#;
    let product = r#""productId":"prod_1","quantity":2"#;
    let payment = format!(r#""paymentId":"{payment}""#);
    let amount = r#""amount":250.50"#;
    let expected = [
        format!(r#"{{{order},"customerId":"cust_1",{product},{amount},{time}}}"#),
        format!(r#"{{{order},{payment},{product},{amount},{time}}}"#),
        format!(r#"{{{order},{amount},"reason":"amount_above_limit",{time}}}"#),
        format!(r#"{{{order},{product},{time}}}"#),
        format!(r#"{{{order},{payment},{product},{amount},"reason":"out_of_stock",{time}}}"#),
        format!(r#"{{{order},{payment},{amount},"reason":"out_of_stock",{time}}}"#),
    ];
    for (event, expected) in events().into_iter().zip(expected) {
        let json = String::from_utf8(envelope(event).value().unwrap()).unwrap();
        assert_eq!(json, expected);
    }
}

#[test]
fn every_event_is_decoded_as_it_was_encoded() {
    let types = events().map(|event| event.event_type());
    assert_eq!(types, EventType::ALL);
    for event in events() {
        let envelope = envelope(event);
        let decoded = TestRecord::of(&envelope).decode();
        assert_eq!(decoded, Ok(Decoded::Event(Box::new(envelope))));
    }
}

#[test]
fn an_answer_belongs_to_the_saga_and_trace_of_its_cause() {
    let [created, succeeded, ..] = events().map(envelope);
    let answer = Envelope::answer(&created.headers, succeeded.event.clone());
    assert_eq!(
        answer,
        Envelope::answer(&created.headers, succeeded.event),
        "a repeated answer is the same"
    );
    let (headers, cause) = (answer.headers, created.headers);
    assert_eq!(headers.correlation_id, cause.correlation_id);
    assert_eq!(headers.causation_id, cause.event_id.as_uuid());
    let (span, parent): (TraceParent, TraceParent) = (headers.traceparent, cause.traceparent);
    assert_eq!(span.trace_id(), parent.trace_id());
    assert_ne!(span.span_id(), parent.span_id());
    assert!(span.is_sampled());
}

#[test]
fn an_unknown_event_type_is_no_poison_whatever_its_value() {
    let [created, ..] = events().map(envelope);
    let newer = TestRecord::of(&created)
        .with_header(EVENT_TYPE, b"OrderShipped")
        .with_value(b"\xff");
    let expected = Decoded::UnknownType("OrderShipped".to_owned());
    assert_eq!(newer.decode(), Ok(expected));
}

#[test]
fn each_invalid_record_has_its_poison_class() {
    let [created, ..] = events().map(envelope);
    let record = || TestRecord::of(&created);
    let class = |record: TestRecord| match record.decode() {
        Err(poison) => poison.class,
        Ok(decoded) => panic!("no poison: {decoded:?}"),
    };
    for name in [
        EVENT_TYPE,
        EVENT_ID,
        CORRELATION_ID,
        CAUSATION_ID,
        TRACEPARENT,
    ] {
        let missing = record().without_header(name);
        assert_eq!(class(missing), PoisonClass::MissingHeader, "{name}");
        // Of repeated headers the last one counts.
        let invalid = record().with_header(name, b"\xff");
        assert_eq!(class(invalid), PoisonClass::BadHeader, "{name}");
    }
    let tombstone = TestRecord {
        value: None,
        ..record()
    };
    assert_eq!(class(tombstone), PoisonClass::NullValue);
    assert_eq!(class(record().with_value(b"\xff")), PoisonClass::NotUtf8);
    let json = String::from_utf8(created.value().unwrap()).unwrap();
    for (valid, invalid) in [
        ("\"quantity\":2", "\"quantity\":0"),
        ("\"quantity\":2", "\"quantity\":\"2\""),
        ("250.50", "250.505"),
        ("cust_1", "cust 1"),
        ("\"productId\":\"prod_1\",", ""),
        ("}", ""),
    ] {
        let changed = json.replace(valid, invalid);
        assert_eq!(class(record().with_value(changed)), PoisonClass::BadValue);
    }
    let other_key = TestRecord {
        key: Some(OrderId::now().to_string().into_bytes()),
        ..record()
    };
    assert_eq!(class(other_key), PoisonClass::KeyMismatch);
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        key in prop::option::of(vec(any::<u8>(), 0..40)),
        event_type in 0..EventType::ALL.len(),
        broken_header in vec(any::<u8>(), 0..60),
        value in prop::option::of(vec(any::<u8>(), 0..200)),
    ) {
        let [created, ..] = events().map(envelope);
        let event_type = EventType::ALL[event_type].name().as_bytes();
        let mut record = TestRecord::of(&created).with_header(EVENT_TYPE, event_type);
        record.key = key;
        record.value = value;
        let _ = record.decode();
        let _ = record.with_header(TRACEPARENT, &broken_header).decode();
    }
}
