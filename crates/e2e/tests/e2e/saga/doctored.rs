//! The audit itself: sound books have no violation, and each way of doctoring them breaks the one promise meant.

use chrono::Utc;
use shared_events::{
    CorrelationId, Envelope, Event, EventId, EventType, InventoryOutOfStock, InventoryReserved,
    OrderCreated, OrderId, PaymentFailed, PaymentId, PaymentRefunded, PaymentSucceeded, Quantity,
    Topic, TraceParent,
};

use audit::{Allowed, Rule, audit};
use crate::shop::clients::Placed;
use audit::{Evidence, OrderRow, Told};

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

fn told(event: Event) -> Told {
    let envelope = Envelope::first(event, CorrelationId::random(), TraceParent::random());
    Told {
        value: envelope.value().unwrap(),
        envelope,
    }
}

/// One order confirmed, one cancelled, one failed.
fn sound() -> (Evidence, [OrderId; 3]) {
    let ids = [(); 3].map(|()| OrderId::now());
    let mut evidence = Evidence::default();
    for (kind, id) in ids.into_iter().enumerate() {
        let events = saga(id, kind);
        let customer = format!("cust_{kind}");
        let row = OrderRow {
            customer: customer.clone(),
            status: ["CONFIRMED", "CANCELLED", "FAILED"][kind].to_owned(),
            facts: events.iter().map(Event::event_type).collect(),
        };
        evidence.orders.insert(id, row);
        evidence.placed.push(Placed {
            customer,
            order_id: id,
            repeated: false,
            cut_off: 0,
        });
        evidence.told.extend(events.into_iter().map(told));
    }
    evidence.stock_before.insert("prod".to_owned(), 9);
    evidence.stock_now.insert("prod".to_owned(), 7);
    (evidence, ids)
}

fn broken(evidence: &Evidence, allowed: &Allowed) -> Vec<Rule> {
    let mut rules: Vec<_> = audit(evidence, allowed)
        .iter()
        .map(|violation| violation.rule)
        .collect();
    rules.sort();
    rules.dedup();
    rules
}

fn again(evidence: &mut Evidence, id: OrderId, event: EventType) {
    let is_it = |one: &&Told| {
        one.envelope.event.order_id() == id && one.envelope.event.event_type() == event
    };
    let one = evidence.told.iter().find(is_it).unwrap().clone();
    evidence.told.push(one);
}

fn forget(evidence: &mut Evidence, id: OrderId, event: EventType) {
    evidence.told.retain(|one| {
        one.envelope.event.order_id() != id || one.envelope.event.event_type() != event
    });
    evidence.orders.get_mut(&id).unwrap().facts.remove(&event);
}

#[test]
fn sound_books_have_no_violation() {
    assert_eq!(broken(&sound().0, &Allowed::default()), []);
}

#[test]
fn each_way_of_doctoring_the_books_is_found() {
    use EventType as E;
    type Doctor = fn(&mut Evidence, [OrderId; 3]);
    let doctored: [(&[Rule], Doctor); 14] = [
        (&[Rule::EveryOrderEnds], |books, [ok, ..]| {
            books.orders.get_mut(&ok).unwrap().status = "PAID".to_owned();
        }),
        (
            &[Rule::EveryOrderEnds, Rule::NothingLost],
            |books, [ok, ..]| {
                books.orders.remove(&ok);
            },
        ),
        (&[Rule::OneOrderARequest], |books, [ok, ..]| {
            books.orders.get_mut(&ok).unwrap().customer = "cust_1".to_owned();
        }),
        (
            &[Rule::PaidOnce, Rule::OneEvent, Rule::AnsweredOnce],
            |books, [ok, other, _]| {
                let Event::PaymentSucceeded(paid) = saga(ok, CONFIRMED).remove(1) else {
                    panic!()
                };
                let twice = PaymentSucceeded {
                    payment_id: PaymentId::of(other),
                    ..paid
                };
                books.told.push(told(twice.into()));
            },
        ),
        (
            &[Rule::RefundedIfCancelled, Rule::NothingLost],
            |books, [_, back, _]| {
                forget(books, back, E::PaymentRefunded);
            },
        ),
        (
            &[
                Rule::RefundedIfCancelled,
                Rule::NothingLost,
                Rule::AnsweredOnce,
            ],
            |books, [ok, ..]| {
                books.told.push(told(saga(ok, CANCELLED).remove(3)));
            },
        ),
        (&[Rule::StockAddsUp], |books, _| {
            books.stock_now.insert("prod".to_owned(), 5);
        }),
        (
            &[Rule::StockAddsUp, Rule::NothingLost],
            |books, [ok, ..]| {
                forget(books, ok, E::InventoryReserved);
            },
        ),
        (&[Rule::NothingLost], |books, [.., failed]| {
            forget(books, failed, E::PaymentFailed);
        }),
        (&[Rule::NothingLost], |books, [.., failed]| {
            books.orders.get_mut(&failed).unwrap().facts.clear();
        }),
        (&[Rule::OneEvent], |books, [ok, ..]| {
            books.told[0].envelope.headers.event_id = EventId::of(ok, E::PaymentRefunded);
        }),
        (&[Rule::AnsweredOnce], |books, [ok, ..]| {
            again(books, ok, E::InventoryReserved)
        }),
        (
            &[Rule::AnsweredOnce, Rule::CreatedOnce],
            |books, [ok, ..]| again(books, ok, E::OrderCreated),
        ),
        (&[Rule::NothingSetAside], |books, [ok, ..]| {
            books.set_aside.push((Topic::PaymentsDlq, ok.to_string()));
        }),
    ];
    for (number, (rules, doctor)) in doctored.into_iter().enumerate() {
        let (mut books, ids) = sound();
        doctor(&mut books, ids);
        let mut rules = rules.to_vec();
        rules.sort();
        assert_eq!(
            broken(&books, &Allowed::default()),
            rules,
            "number {number}"
        );
    }
}

#[test]
fn what_a_test_allows_is_allowed_and_nothing_more() {
    let (mut books, [ok, ..]) = sound();
    again(&mut books, ok, EventType::OrderCreated);
    let told_again = Allowed {
        told_again: true,
        ..Allowed::default()
    };
    assert_eq!(broken(&books, &told_again), [Rule::AnsweredOnce]);
    again(&mut books, ok, EventType::PaymentSucceeded);
    again(&mut books, ok, EventType::InventoryReserved);
    assert_eq!(broken(&books, &told_again), []);
    let (books, [ok, ..]) = sound();
    let set_aside = Allowed {
        set_aside: [ok].into(),
        ..Allowed::default()
    };
    let rules = [
        Rule::EveryOrderEnds,
        Rule::AnsweredOnce,
        Rule::NothingSetAside,
    ];
    assert_eq!(broken(&books, &set_aside), rules);
}
