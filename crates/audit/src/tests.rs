//! A correct history has no violation, and each manipulation of it violates its rule.

mod events;
mod history;
mod waiting;

use chrono::{Duration, Utc};
use cluster_reader::LagUndefined;
use shared_events::headers::{CAUSATION_ID, EVENT_ID};
use shared_events::{EventType as E, OrderId, Service, Topic};

use crate::item::{Item, LetterState, Status};
use crate::other_rules::Outbox;
use crate::{Allowed, Figures, Rule, WaitingFor};
use history::{CANCELLED, CONFIRMED, FAILED, History};

/// The rules that a manipulated history violates, and the manipulation.
type Manipulated = (&'static [Rule], fn(&mut History));

/// One for each rule that always holds, then two that violate two rules.
const MANIPULATED: [Manipulated; 16] = [
    (&[Rule::EveryOrderEndsOrWaits], |history| {
        // Retention has deleted the record before payment-service read it.
        history.add_pending_row();
        history
            .positions
            .deleted_before
            .insert(Topic::Orders, i64::MAX);
    }),
    (&[Rule::OneOrderCreated], |history| {
        history.set_header(CONFIRMED, E::OrderCreated, EVENT_ID);
    }),
    (&[Rule::OneStory], |history| {
        history.publish(CONFIRMED, E::PaymentFailed);
        history.add_fact(CONFIRMED, E::PaymentFailed);
    }),
    (&[Rule::PaidOnce], |history| {
        history.change(CONFIRMED, E::PaymentSucceeded, "10.00", "20.00");
    }),
    (&[Rule::RefundedIfOutOfStock], |history| {
        history.change(CANCELLED, E::PaymentRefunded, "10.00", "9.00");
    }),
    (&[Rule::ReservedOnce], |history| {
        history.decision(CONFIRMED).reserved = false;
    }),
    (&[Rule::StockAddsUp], |history| history.stock.now -= 1),
    (&[Rule::EveryRecordHandled], |history| {
        history.publish_poison(Topic::Payments);
        history.dead_letter(Service::Order, LetterState::Waiting);
    }),
    (&[Rule::OneIdOneBody], |history| {
        history.publish(FAILED, E::PaymentFailed);
        history.change(FAILED, E::PaymentFailed, "a reason", "another");
    }),
    (&[Rule::AnswerHasQuestion], |history| {
        history.set_header(CONFIRMED, E::InventoryReserved, CAUSATION_ID);
    }),
    (&[Rule::OffsetsWithinLog], |history| {
        history.offset = Some(LagUndefined::CommittedBeyondEnd);
    }),
    (&[Rule::OutboxEmpty], |history| {
        history.outbox_age = Outbox {
            rows: 1,
            oldest_seconds: 60.0,
        };
    }),
    (&[Rule::DeadLettersNameRecords], |history| {
        history.publish_poison(Topic::Inventory);
        for service in [Service::Order, Service::Payment] {
            history.dead_letter(service, LetterState::Waiting);
        }
        history
            .dead_letter(Service::Payment, LetterState::Waiting)
            .offset += 1;
    }),
    (&[Rule::DatabaseMatchesTopics], |history| {
        history.remove_fact(CONFIRMED, E::PaymentSucceeded);
    }),
    (
        &[Rule::EveryOrderEndsOrWaits, Rule::OneOrderCreated],
        |history| history.add_pending_row(),
    ),
    (
        &[Rule::EveryOrderEndsOrWaits, Rule::EveryRecordHandled],
        |history| {
            history.forget(CONFIRMED, E::InventoryReserved);
            history.stock.reserved = 0;
            history.stock.now = 9;
        },
    ),
];

fn violated(history: &History) -> Vec<Rule> {
    history.audit(&Allowed::anything()).violated()
}

#[test]
fn a_correct_history_has_no_violation() {
    let report = History::correct().audit(&Allowed::default());
    assert!(report.is_kept(), "{report}");
    let expected = Figures {
        accepted: 3,
        ended: 3,
        ..Figures::default()
    };
    assert_eq!(report.figures, expected);
    for rule in Rule::ALWAYS {
        let checked = report.rules[&rule].checked;
        // There is no dead letter.
        assert_eq!(checked == 0, rule == Rule::DeadLettersNameRecords, "{rule}");
    }
}

#[test]
fn each_manipulated_history_violates_its_own_rule_only() {
    for (number, (rules, manipulate)) in MANIPULATED.into_iter().enumerate() {
        let mut history = History::correct();
        manipulate(&mut history);
        let report = history.audit(&Allowed::anything());
        assert_eq!(report.violated(), rules, "number {number}:\n{report}");
        let lines = report.to_string();
        let failed = lines.lines().filter(|line| line.starts_with("FAIL"));
        assert_eq!(failed.count(), rules.len(), "{lines}");
    }
    let manipulated: Vec<_> = MANIPULATED.iter().flat_map(|(rules, _)| *rules).collect();
    for rule in Rule::ALWAYS {
        assert!(manipulated.contains(&&rule), "{rule} is never violated");
    }
}

#[test]
fn a_violation_names_the_oldest_order_and_the_command_that_shows_it() {
    let mut history = History::correct();
    for order in [CONFIRMED, CANCELLED] {
        history.set_header(order, E::PaymentSucceeded, EVENT_ID);
    }
    let report = history.audit(&Allowed::anything());
    let (first, second) = (history.id(CONFIRMED), history.id(CANCELLED));
    let result = &report.rules[&Rule::OneIdOneBody];
    assert_eq!(result.violations, 2);
    let violation = result.first.as_ref().unwrap();
    assert_eq!(violation.order, Some(first.min(second)));
    assert_eq!(violation.look, format!("./sandbox logs --order {first}"));
}

/// A manipulation after which one order waits, and the figure that counts it.
type Waits = (fn(&mut History), fn(&WaitingFor) -> u64);

/// Everything that can continue an order.
const WAITS: [Waits; 5] = [
    (
        |history| {
            history.add_pending_row();
            history.add_outbox_row();
        },
        |waiting| waiting.outbox,
    ),
    (
        |history| {
            history.forget(CONFIRMED, E::InventoryReserved);
            history.unread(Service::Inventory, CONFIRMED, E::PaymentSucceeded);
        },
        |waiting| waiting.unread,
    ),
    (
        |history| history.not_reserved(LetterState::Waiting),
        |waiting| waiting.dead_letter,
    ),
    (
        |history| history.not_reserved(LetterState::Discarded),
        |waiting| waiting.discarded,
    ),
    (
        |history| {
            for event in [E::InventoryReserved, E::PaymentSucceeded] {
                history.forget(CONFIRMED, event);
            }
            history.retry(CONFIRMED);
        },
        |waiting| waiting.retry,
    ),
];

#[test]
fn an_order_that_something_can_continue_is_waiting_and_not_lost() {
    for (number, (manipulate, counted)) in WAITS.into_iter().enumerate() {
        let mut history = History::correct();
        manipulate(&mut history);
        history.stock.reserved = 9 - history.stock.now;
        let report = history.audit(&Allowed::anything());
        assert!(report.is_kept(), "number {number}:\n{report}");
        let figures = report.figures;
        assert_eq!(counted(&figures.waiting_for), 1, "number {number}");
        assert_eq!((figures.waiting, figures.lost), (1, 0), "number {number}");
    }
}

#[test]
fn repeated_records_are_counted_and_violate_only_what_forbids_duplicates() {
    let mut history = History::correct();
    history.publish(CONFIRMED, E::OrderCreated);
    let report = history.audit(&Allowed::anything());
    assert!(report.is_kept(), "{report}");
    assert_eq!(report.figures.doubled, 1);
    assert_eq!(report.figures.doubled_in["orders"], 1);
    let rules = [Rule::PublishedOnce, Rule::OneOutputPerRecord];
    assert_eq!(history.audit(&Allowed::default()).violated(), rules);
    let duplicate_orders = Allowed {
        duplicate_orders: true,
        ..Allowed::default()
    };
    let rules = [Rule::OneOutputPerRecord];
    assert_eq!(history.audit(&duplicate_orders).violated(), rules);
    history.publish(CONFIRMED, E::PaymentSucceeded);
    history.publish(CONFIRMED, E::InventoryReserved);
    assert!(history.audit(&duplicate_orders).is_kept());
}

#[test]
fn only_expected_dead_letters_are_allowed() {
    let mut history = History::correct();
    history.not_reserved(LetterState::Waiting);
    history.stock.reserved = 0;
    history.stock.now = 9;
    let violated = |allowed: &Allowed| history.audit(allowed).violated();
    assert_eq!(
        violated(&Allowed::default()),
        [Rule::NoUnexpectedDeadLetter]
    );
    let expecting = |order| Allowed {
        dead_letters: [order].into(),
        ..Allowed::default()
    };
    assert_eq!(violated(&expecting(history.id(CONFIRMED))), []);
    assert_eq!(
        violated(&expecting(history.id(FAILED))),
        [Rule::NoUnexpectedDeadLetter]
    );
}

#[test]
fn a_refund_before_its_payment_is_out_of_order() {
    let mut history = History::correct();
    history.move_to_end(CANCELLED, E::PaymentSucceeded);
    let figures = history.audit(&Allowed::anything()).figures;
    assert_eq!(
        (figures.out_of_order, figures.split_over_partitions),
        (1, 0)
    );
    let mut history = History::correct();
    history.record(CANCELLED, E::PaymentRefunded).partition = 1;
    let figures = history.audit(&Allowed::anything()).figures;
    assert_eq!(
        (figures.out_of_order, figures.split_over_partitions),
        (0, 1)
    );
}

/// The shop is at work while it is audited: its topics go on after the databases were read.
#[test]
fn what_happens_during_the_audit_violates_nothing() {
    let mut history = History::correct();
    history.keep_rows = false;
    for service in Service::ALL {
        history
            .positions
            .committed
            .retain(|(of, ..), _| *of != service);
    }
    let figures = history.audit(&Allowed::anything()).figures;
    assert_eq!(violated(&history), []);
    assert_eq!((figures.accepted, figures.waiting), (3, 3));
    // An answer after the end, whose question is not read yet.
    history.forget(CONFIRMED, E::PaymentSucceeded);
    history.positions.ends.clear();
    assert_eq!(violated(&history), []);
}

#[test]
fn what_may_have_been_deleted_is_not_missing() {
    let mut history = History::correct();
    for topic in [Topic::Orders, Topic::Payments, Topic::Inventory] {
        history.positions.deleted_before.insert(topic, i64::MAX);
    }
    history.records.clear();
    let report = history.audit(&Allowed::anything());
    assert!(report.is_kept(), "{report}");
    assert_eq!(
        (report.figures.ended, report.figures.older_than_log),
        (3, 3)
    );
}

#[test]
fn no_bytes_of_a_file_are_a_reason_to_panic() {
    for byte in 0..=u8::MAX {
        for length in [0, 1, 63, 64, 65] {
            let item = Item::from_bytes(&vec![byte; length]);
            assert!(item.is_none() || length == 64);
        }
    }
}

#[test]
fn the_time_of_an_order_is_that_of_its_id() {
    let order = OrderId::now();
    let age = Utc::now().timestamp_millis() - crate::positions::created_ms(order);
    assert!((0..Duration::minutes(1).num_milliseconds()).contains(&age));
    assert_eq!(crate::order_history::status_of(0), Status::Pending);
}
