//! A correct state has no violation, and each manipulation of it violates the rule that it should.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use chrono::Utc;
use shared_events::{
    CorrelationId, Envelope, Event, EventId, EventType, InventoryOutOfStock, InventoryReserved,
    OrderCreated, OrderId, PaymentFailed, PaymentId, PaymentRefunded, PaymentSucceeded, Quantity,
    Topic, TraceParent,
};

use audit::{AcceptedRequest, Allowed, ObservedState, OrderRow, PublishedEvent, Rule, audit};

const CONFIRMED: usize = 0;
const CANCELLED: usize = 1;

fn saga(id: OrderId, kind: usize) -> Vec<Event> {
    let (product_id, quantity) = ("prod".parse().unwrap(), Quantity::new(2).unwrap());
    let (payment_id, occurred_at) = (PaymentId::of(id), Utc::now());
    let amount = "10.00".parse().unwrap();
    let reason = "a reason".to_owned();
    let created = OrderCreated {
        order_id: id,
        customer_id: "cust".parse().unwrap(),
        product_id,
        quantity,
        amount,
        occurred_at,
    };
    let product_id = created.product_id.clone();
    let paid = PaymentSucceeded {
        order_id: id,
        payment_id,
        product_id: product_id.clone(),
        quantity,
        amount,
        occurred_at,
    };
    let failed = PaymentFailed {
        order_id: id,
        amount,
        reason: reason.clone(),
        occurred_at,
    };
    let reserved = InventoryReserved {
        order_id: id,
        product_id: product_id.clone(),
        quantity,
        occurred_at,
    };
    let short = InventoryOutOfStock {
        order_id: id,
        payment_id,
        product_id,
        quantity,
        amount,
        reason: reason.clone(),
        occurred_at,
    };
    let refunded = PaymentRefunded {
        order_id: id,
        payment_id,
        amount,
        reason,
        occurred_at,
    };
    match kind {
        CONFIRMED => vec![created.into(), paid.into(), reserved.into()],
        CANCELLED => vec![created.into(), paid.into(), short.into(), refunded.into()],
        _ => vec![created.into(), failed.into()],
    }
}

fn published(event: Event) -> PublishedEvent {
    let envelope = Envelope::first(event, CorrelationId::random(), TraceParent::random());
    PublishedEvent {
        value: envelope.value().unwrap(),
        envelope,
    }
}

/// One order confirmed, one cancelled, one failed.
fn correct_state() -> (ObservedState, [OrderId; 3]) {
    let ids = [(); 3].map(|()| OrderId::now());
    let mut observed = ObservedState::default();
    for (kind, id) in ids.into_iter().enumerate() {
        let events = saga(id, kind);
        let customer = format!("cust_{kind}");
        let row = OrderRow {
            customer: customer.clone(),
            status: ["CONFIRMED", "CANCELLED", "FAILED"][kind].to_owned(),
            facts: events.iter().map(Event::event_type).collect(),
        };
        observed.orders.insert(id, row);
        observed.accepted.push(AcceptedRequest {
            customer,
            order_id: id,
            repeated: false,
            unanswered_attempts: 0,
        });
        observed.published.extend(events.into_iter().map(published));
    }
    observed.stock_before.insert("prod".to_owned(), 9);
    observed.stock_now.insert("prod".to_owned(), 7);
    (observed, ids)
}

fn broken(observed: &ObservedState, allowed: &Allowed) -> Vec<Rule> {
    let mut rules: Vec<_> = audit(observed, allowed)
        .iter()
        .map(|violation| violation.rule)
        .collect();
    rules.sort();
    rules.dedup();
    rules
}

fn again(observed: &mut ObservedState, id: OrderId, event: EventType) {
    let is_it = |one: &&PublishedEvent| {
        one.envelope.event.order_id() == id && one.envelope.event.event_type() == event
    };
    let one = observed.published.iter().find(is_it).unwrap().clone();
    observed.published.push(one);
}

fn forget(observed: &mut ObservedState, id: OrderId, event: EventType) {
    observed.published.retain(|one| {
        one.envelope.event.order_id() != id || one.envelope.event.event_type() != event
    });
    observed.orders.get_mut(&id).unwrap().facts.remove(&event);
}

#[test]
fn a_correct_state_has_no_violation() {
    assert_eq!(broken(&correct_state().0, &Allowed::default()), []);
}

#[test]
fn each_manipulated_state_violates_its_rule() {
    use EventType as E;
    type Manipulation = fn(&mut ObservedState, [OrderId; 3]);
    let manipulated: [(&[Rule], Manipulation); 14] = [
        (&[Rule::EveryOrderCompletes], |state, [ok, ..]| {
            state.orders.get_mut(&ok).unwrap().status = "PAID".to_owned();
        }),
        (
            &[Rule::EveryOrderCompletes, Rule::NothingLost],
            |state, [ok, ..]| {
                state.orders.remove(&ok);
            },
        ),
        (&[Rule::OneOrderPerRequest], |state, [ok, ..]| {
            state.orders.get_mut(&ok).unwrap().customer = "cust_1".to_owned();
        }),
        (
            &[Rule::PaidOnce, Rule::OneEventId, Rule::OneOutputPerRecord],
            |state, [ok, other, _]| {
                let Event::PaymentSucceeded(paid) = saga(ok, CONFIRMED).remove(1) else {
                    panic!()
                };
                let twice = PaymentSucceeded {
                    payment_id: PaymentId::of(other),
                    ..paid
                };
                state.published.push(published(twice.into()));
            },
        ),
        (
            &[Rule::RefundedIfCancelled, Rule::NothingLost],
            |state, [_, back, _]| {
                forget(state, back, E::PaymentRefunded);
            },
        ),
        (
            &[
                Rule::RefundedIfCancelled,
                Rule::NothingLost,
                Rule::OneOutputPerRecord,
            ],
            |state, [ok, ..]| {
                state
                    .published
                    .push(published(saga(ok, CANCELLED).remove(3)));
            },
        ),
        (&[Rule::StockAddsUp], |state, _| {
            state.stock_now.insert("prod".to_owned(), 5);
        }),
        (
            &[Rule::StockAddsUp, Rule::NothingLost],
            |state, [ok, ..]| {
                forget(state, ok, E::InventoryReserved);
            },
        ),
        (&[Rule::NothingLost], |state, [.., failed]| {
            forget(state, failed, E::PaymentFailed);
        }),
        (&[Rule::NothingLost], |state, [.., failed]| {
            state.orders.get_mut(&failed).unwrap().facts.clear();
        }),
        (&[Rule::OneEventId], |state, [ok, ..]| {
            state.published[0].envelope.headers.event_id = EventId::of(ok, E::PaymentRefunded);
        }),
        (&[Rule::OneOutputPerRecord], |state, [ok, ..]| {
            again(state, ok, E::InventoryReserved)
        }),
        (
            &[Rule::OneOutputPerRecord, Rule::PublishedOnce],
            |state, [ok, ..]| again(state, ok, E::OrderCreated),
        ),
        (&[Rule::NoUnexpectedDeadLetter], |state, [ok, ..]| {
            state
                .dead_letters
                .push((Topic::PaymentsDlq, ok.to_string()));
        }),
    ];
    for (number, (rules, manipulate)) in manipulated.into_iter().enumerate() {
        let (mut state, ids) = correct_state();
        manipulate(&mut state, ids);
        let mut rules = rules.to_vec();
        rules.sort();
        assert_eq!(
            broken(&state, &Allowed::default()),
            rules,
            "number {number}"
        );
    }
}

#[test]
fn allowed_violations_are_not_reported_others_are() {
    let (mut state, [ok, ..]) = correct_state();
    again(&mut state, ok, EventType::OrderCreated);
    let duplicate_orders = Allowed {
        duplicate_orders: true,
        ..Allowed::default()
    };
    assert_eq!(
        broken(&state, &duplicate_orders),
        [Rule::OneOutputPerRecord]
    );
    again(&mut state, ok, EventType::PaymentSucceeded);
    again(&mut state, ok, EventType::InventoryReserved);
    assert_eq!(broken(&state, &duplicate_orders), []);
    let (state, [ok, ..]) = correct_state();
    let dead_letters = Allowed {
        dead_letters: [ok].into(),
        ..Allowed::default()
    };
    let rules = [
        Rule::EveryOrderCompletes,
        Rule::OneOutputPerRecord,
        Rule::NoUnexpectedDeadLetter,
    ];
    assert_eq!(broken(&state, &dead_letters), rules);
}
