//! The service consumes payments and publishes its decisions.

use inventory_service::Settings;
use serde_json::Value;
use shared_events::{Event, EventId, EventType, PaymentFailed, PaymentSucceeded, Topic};

use crate::service::{event, in_saga, run, run_shared};
use crate::support::paid;

#[tokio::test]
async fn only_payments_get_a_response_in_their_saga() {
    let (service, _) = run_shared("answers", &[]).await;
    let payments: Vec<PaymentSucceeded> =
        vec![paid("prod_123", 2), paid("prod_123", 10), paid("prod_x", 1)];
    let mut events: Vec<_> = payments.iter().cloned().map(in_saga).collect();
    let declined = paid("prod_123", 1);
    events.push(in_saga(PaymentFailed {
        order_id: declined.order_id,
        amount: declined.amount,
        reason: "amount_above_limit".to_owned(),
        occurred_at: declined.occurred_at,
    }));
    service.publish(&events).await;

    let responses = service.records(Topic::Inventory, 3).await;
    service.wait_until_caught_up().await;
    for (payment, reason) in
        events
            .iter()
            .zip([None, Some("out_of_stock"), Some("unknown_product")])
    {
        let key = payment.key().into_bytes();
        let record = responses
            .iter()
            .find(|record| record.key.as_ref() == Some(&key))
            .unwrap();
        let response = event(record);
        let expected = match reason {
            None => EventType::InventoryReserved,
            Some(_) => EventType::InventoryOutOfStock,
        };
        let (cause, headers) = (&payment.headers, &response.headers);
        assert_eq!(response.event.event_type(), expected);
        assert_eq!(
            headers.event_id,
            EventId::of(response.event.order_id(), expected)
        );
        assert_eq!(headers.correlation_id, cause.correlation_id);
        assert_eq!(headers.causation_id, cause.event_id.as_uuid());
        if let Event::InventoryOutOfStock(refusal) = response.event {
            assert_eq!(Some(refusal.reason.as_str()), reason);
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn a_repeated_payment_takes_stock_once_and_gets_the_same_bytes() {
    let (service, settings) = run_shared("repeated", &[]).await;
    let payment = in_saga(paid("prod_123", 2));
    service.publish(&[payment.clone(), payment.clone()]).await;
    service.records(Topic::Inventory, 2).await;
    // Another process, without any state in memory, consumes the third one.
    service.stop().await;
    let service = run(settings.clone()).await;
    service.publish(&[payment]).await;
    let responses = service.records(Topic::Inventory, 3).await;
    service.wait_until_caught_up().await;
    for response in &responses {
        assert_eq!(
            (&response.key, &response.headers, &response.value),
            (
                &responses[0].key,
                &responses[0].headers,
                &responses[0].value
            )
        );
    }
    let shown: Value = reqwest::get(format!("{}/products/prod_123", service.url))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(shown["quantity"], 7);
    service.stop().await;
}

#[tokio::test]
async fn an_order_for_the_poison_product_goes_to_the_dlq() {
    let (service, settings) = run_shared("poison", &[]).await;
    let (poison, good) = (
        in_saga(paid("prod_ignore", 1)),
        in_saga(paid("prod_123", 1)),
    );
    service.publish(&[poison.clone(), good.clone()]).await;
    let dead_letters = service.records(Topic::InventoryDlq, 1).await;
    assert_eq!(dead_letters[0].key, Some(poison.key().into_bytes()));
    let class = dead_letters[0]
        .header_pairs()
        .find(|(name, _)| *name == "dlq-error-class");
    assert_eq!(class.unwrap().1, Some(b"domain_rule".as_slice()));
    let responses = service.records(Topic::Inventory, 1).await;
    assert_eq!(responses[0].key, Some(good.key().into_bytes()));
    service.wait_until_caught_up().await;
    service.stop().await;

    let repaired = Settings {
        poison_product: "".parse().unwrap(),
        ..settings
    };
    let service = run(repaired).await;
    service.publish(&[poison]).await;
    let responses = service.records(Topic::Inventory, 2).await;
    let mut types: Vec<_> = responses
        .iter()
        .map(|response| event(response).event.event_type())
        .collect();
    types.dedup();
    assert_eq!(types, [EventType::InventoryReserved]);
    service.stop().await;
}
