use proptest::prelude::*;

use super::saga_outcome::VALID_EVENT_SETS;
use super::*;

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn facts(events: &[EventType]) -> Facts {
    let mut facts = Facts::default();
    for (second, event) in (0..).zip(events) {
        facts.merge(&Facts::from_event(*event, time(second)));
    }
    facts
}

#[test]
fn every_complete_saga_has_its_final_status() {
    let statuses = VALID_EVENT_SETS.map(|events| facts(events).status());
    assert_eq!(
        statuses,
        [
            OrderStatus::Confirmed,
            OrderStatus::Cancelled,
            OrderStatus::Failed
        ]
    );
}

#[test]
fn an_unfinished_order_has_next_events_and_a_waiting_time() {
    use EventType::{
        InventoryOutOfStock, OrderCreated, PaymentFailed, PaymentRefunded, PaymentSucceeded,
    };
    let created = facts(&[OrderCreated]);
    assert_eq!(
        created.status().next_events(),
        [PaymentSucceeded, PaymentFailed]
    );
    assert_eq!(created.waiting_since(), Some(time(0)));
    let refunding = facts(&[OrderCreated, PaymentSucceeded, InventoryOutOfStock]);
    assert_eq!(refunding.status().next_events(), [PaymentRefunded]);
    assert_eq!(refunding.waiting_since(), Some(time(2)));
    assert_eq!(facts(VALID_EVENT_SETS[0]).waiting_since(), None);
}

#[test]
fn the_next_events_continue_a_valid_saga() {
    for events in VALID_EVENT_SETS {
        for known in 1..events.len() {
            let next = facts(&events[..known]).status().next_events();
            assert!(next.contains(&events[known]), "{events:?} after {known}");
        }
    }
}

#[test]
fn facts_are_impossible_exactly_when_no_saga_has_them_all() {
    for mask in 0..64_u32 {
        let events: Vec<_> = EventType::ALL
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| mask & (1 << bit) != 0)
            .map(|(_, event)| event)
            .collect();
        let has = |event| events.contains(&event);
        let paid = has(EventType::PaymentSucceeded) || has(EventType::InventoryReserved);
        let refused = has(EventType::InventoryOutOfStock) || has(EventType::PaymentRefunded);
        let expected = has(EventType::PaymentFailed) && (paid || refused)
            || has(EventType::InventoryReserved) && refused;
        assert_eq!(facts(&events).is_impossible(), expected, "{events:?}");
    }
}

#[test]
fn a_repeated_fact_keeps_its_first_time() {
    let mut facts = Facts::from_event(EventType::OrderCreated, time(5));
    facts.merge(&Facts::from_event(EventType::OrderCreated, time(1)));
    assert_eq!(facts.created, Some(time(5)));
}

/// Every sequence of distinct events that starts with `prefix`.
fn permutations(prefix: Vec<EventType>, all: &mut Vec<Vec<EventType>>) {
    for event in EventType::ALL {
        if !prefix.contains(&event) {
            let mut longer = prefix.clone();
            longer.push(event);
            permutations(longer, all);
        }
    }
    all.push(prefix);
}

#[test]
fn the_status_does_not_depend_on_the_order_of_events() {
    let mut all = Vec::new();
    permutations(Vec::new(), &mut all);
    assert_eq!(all.len(), 1957);
    for events in all {
        let mut sorted = events.clone();
        sorted.sort();
        let (one, other) = (facts(&events), facts(&sorted));
        assert_eq!(
            (one.status(), one.is_impossible()),
            (other.status(), other.is_impossible()),
            "{events:?}"
        );
        assert!(one.iter().map(|(event, _)| event).eq(sorted), "{events:?}");
    }
}

/// Some events, and the same events with repetitions in random order.
fn events_and_repetitions() -> impl Strategy<Value = (Vec<EventType>, Vec<EventType>)> {
    let some = prop::sample::subsequence(EventType::ALL.to_vec(), 1..=6);
    some.prop_flat_map(|events| {
        let repeated = prop::collection::vec(prop::sample::select(events.clone()), 0..12);
        let all = repeated.prop_map({
            let events = events.clone();
            move |repeated| [events.clone(), repeated].concat()
        });
        (Just(events), all.prop_shuffle())
    })
}

proptest! {
    #[test]
    fn the_status_does_not_depend_on_repetitions((events, repeated) in events_and_repetitions()) {
        let (one, other) = (facts(&events), facts(&repeated));
        prop_assert_eq!(one.status(), other.status());
        prop_assert_eq!(one.is_impossible(), other.is_impossible());
        prop_assert!(one.iter().map(|(event, _)| event).eq(other.iter().map(|(event, _)| event)));
    }
}
