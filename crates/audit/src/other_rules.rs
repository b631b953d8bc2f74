//! The rules about records that may belong to no order: poison and dead letters; and those about partitions, the outbox and stock.

use cluster_reader::LagUndefined;
use shared_events::{OrderId, Service, Topic};

use crate::Rule;
use crate::item::{DeadLetterRecord, OtherRecord, Place, Subject};
use crate::order_history::{OrderHistory, readers};
use crate::positions::Positions;
use crate::report::{Report, Violation};

/// How long a row may be in the outbox while every group is caught up. The relay publishes within a second.
const OUTBOX_SECONDS: f64 = 10.0;

/// The outbox of order-service.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Outbox {
    pub rows: u64,
    /// The age of the oldest row.
    pub oldest_seconds: f64,
}

/// The stock of one product, in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductStock {
    pub product: String,
    /// At the start, and set by hand since.
    pub given: i64,
    /// Reserved by decisions.
    pub reserved: i64,
    pub now: i64,
}

/// Checks the records and the dead letters of one subject, an order or not.
pub(crate) fn check_records(
    history: &OrderHistory,
    subject: Subject,
    positions: &Positions,
    report: &mut Report,
) {
    let order = subject.is_order.then_some(history.id);
    for other in history.others.iter().filter(|one| !one.unknown_type) {
        check_poison(history, order, other, positions, report);
    }
    for letter in &history.dead_letters {
        let named = |place: Place| {
            history.events.iter().any(|one| one.place == place)
                || history.others.iter().any(|one| one.place == place)
                || history.retries.contains(&place)
                || positions.is_before_first_read(place)
                || positions.hidden.contains(&place.topic)
        };
        let kept = letter.original.is_some_and(named);
        report.check(Rule::DeadLettersNameRecords, kept, || {
            names_nothing(order, letter)
        });
    }
}

fn check_poison(
    history: &OrderHistory,
    order: Option<OrderId>,
    record: &OtherRecord,
    positions: &Positions,
    report: &mut Report,
) {
    for service in readers(record.place.topic, record.replayed_for) {
        if !positions.is_read(service, record.place) {
            continue;
        }
        let letters = service.dead_letter_topic();
        let may_be_deleted = match order {
            Some(order) => positions.may_be_deleted(letters, order),
            None => positions.deleted_before.contains_key(&letters),
        };
        let kept = may_be_deleted
            || history.dead_letter_of(service, record.place).is_some()
            || positions.left_out.contains(&(service, record.place));
        report.check(Rule::EveryRecordHandled, kept, || {
            let place = record.place;
            Violation {
                order,
                what: format!(
                    "{service} has read {place}, which is no event, and made no dead letter of it"
                ),
                look: show(place),
            }
        });
    }
}

fn names_nothing(order: Option<OrderId>, letter: &DeadLetterRecord) -> Violation {
    let place = letter.place;
    Violation {
        order,
        what: match letter.original {
            None => format!("{place} does not say which record of the shop it is"),
            Some(original) => {
                format!("{place} is the dead letter of {original}, which does not exist")
            }
        },
        look: format!(
            "./sandbox dlq show {}/{}/{}",
            place.topic, place.partition, place.offset
        ),
    }
}

fn show(place: Place) -> String {
    format!(
        "./sandbox topics tail {} --from {}",
        place.topic, place.offset
    )
}

/// Checks the committed offset of a group on one partition.
pub(crate) fn check_offset(
    service: Service,
    at: (Topic, i32),
    committed: i64,
    undefined: Option<LagUndefined>,
    report: &mut Report,
) {
    let kept = match undefined {
        Some(LagUndefined::CommittedBeyondEnd | LagUndefined::TopicDeleted) => false,
        Some(LagUndefined::NoRecordYet | LagUndefined::NothingCommitted) | None => true,
    };
    report.check(Rule::OffsetsWithinLog, kept, || Violation {
        order: None,
        what: format!(
            "{} has committed {committed} on {}[{}], beyond its end",
            service.group(),
            at.0,
            at.1
        ),
        look: format!("./sandbox lag; ./sandbox topics describe {}", at.0),
    });
}

/// Checks the outbox. While a group has lag, the shop is at work and rows may wait.
pub(crate) fn check_outbox(outbox: Outbox, caught_up: bool, report: &mut Report) {
    let Outbox {
        rows,
        oldest_seconds,
    } = outbox;
    let kept = !caught_up || oldest_seconds < OUTBOX_SECONDS;
    report.check(Rule::OutboxEmpty, kept, || Violation {
        order: None,
        what: format!("every group is caught up, and the oldest of {rows} rows has waited for {oldest_seconds:.0} s"),
        look: "./sandbox psql orders_db -c 'SELECT key, created_at FROM outbox ORDER BY id LIMIT 10'".to_owned(),
    });
}

/// Checks the stock of one product.
pub(crate) fn check_stock(stock: &ProductStock, report: &mut Report) {
    let ProductStock {
        product,
        given,
        reserved,
        now,
    } = stock;
    report.check(Rule::StockAddsUp, given - reserved == *now, || Violation {
        order: None,
        what: format!("product {product}: {given} pieces given, {reserved} reserved, {now} left"),
        look: format!("./sandbox psql inventory_db -c \"SELECT * FROM stock_changes WHERE product_id = '{product}'\""),
    });
}
