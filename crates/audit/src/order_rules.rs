//! The rules and figures that concern one order.

use std::collections::BTreeSet;

use shared_events::{EventType, OrderId, Service, Topic};

use crate::item::{EventRecord, Place};
use crate::order_history::{OrderHistory, Reaction, is_one_story, names, question_of, readers};
use crate::positions::{EVENT_TOPICS, Positions};
use crate::report::{Report, Violation};
use crate::{Allowed, Rule};

/// One order, and what its rules depend on.
pub(crate) struct OrderRules<'a> {
    pub order: &'a OrderHistory,
    pub positions: &'a Positions,
    pub allowed: &'a Allowed,
}

impl OrderRules<'_> {
    /// Adds the order to the figures, and the result of each rule to the report.
    pub fn check(&self, report: &mut Report) {
        self.count(report);
        self.one_order_created(report);
        self.one_story(report);
        self.paid_once(report);
        self.refunded_if_out_of_stock(report);
        self.reserved_once(report);
        self.events_handled(report);
        self.one_id_one_body(report);
        self.answers_have_questions(report);
        self.database_matches_topics(report);
        self.no_duplicates(report);
        self.expected_dead_letters(report);
    }

    pub(crate) fn id(&self) -> OrderId {
        self.order.id
    }

    pub(crate) fn judge(
        &self,
        report: &mut Report,
        rule: Rule,
        kept: bool,
        what: impl FnOnce() -> String,
    ) {
        report.check(rule, kept, || Violation::of_order(self.id(), what()));
    }

    fn one_order_created(&self, report: &mut Report) {
        if !self.order.is_accepted() {
            return;
        }
        let records = self.order.records(EventType::OrderCreated).count();
        let wrong = self
            .order
            .records(EventType::OrderCreated)
            .filter(|one| !one.id_ok)
            .count();
        let published = self.order.outbox > 0
            || records > 0
            || self.positions.may_be_deleted(Topic::Orders, self.id());
        self.judge(
            report,
            Rule::OneOrderCreated,
            published && wrong == 0,
            || match wrong {
                0 => "it was accepted, and OrderCreated was never published".to_owned(),
                wrong => {
                    format!("{wrong} of {records} records of OrderCreated have another event id")
                }
            },
        );
    }

    fn one_story(&self, report: &mut Report) {
        let facts = self.order.evidence();
        if facts == 0 {
            return;
        }
        // An ended order of which no record was deleted has every fact of its story.
        let complete = self.order.is_ended()
            && !EVENT_TOPICS
                .iter()
                .any(|topic| self.positions.may_be_deleted(*topic, self.id()));
        let kept = is_one_story(facts, complete);
        self.judge(report, Rule::OneStory, kept, || {
            format!("its facts are not those of one story: {}", names(facts))
        });
    }

    fn paid_once(&self, report: &mut Report) {
        let paid = || self.order.records(EventType::PaymentSucceeded);
        if paid().next().is_none() {
            return;
        }
        let other_payment = paid().filter(|one| !one.payment_ok).count();
        let amounts: BTreeSet<_> = paid().map(|one| one.cents).collect();
        let ordered = self
            .order
            .first(EventType::OrderCreated)
            .map(|one| one.cents);
        let kept = other_payment == 0
            && amounts.len() == 1
            && ordered.is_none_or(|ordered| amounts.contains(&ordered));
        self.judge(report, Rule::PaidOnce, kept, || {
            format!(
                "paid {}, ordered for {}; records with another payment id: {other_payment}",
                money_list(&amounts),
                ordered.map_or("an unknown amount".to_owned(), money)
            )
        });
    }

    fn refunded_if_out_of_stock(&self, report: &mut Report) {
        use EventType as E;
        let due = self.order.was(E::PaymentSucceeded) && self.order.was(E::InventoryOutOfStock);
        let refunds = || self.order.records(E::PaymentRefunded);
        let refunded = refunds().next().is_some();
        if !due && !refunded {
            return;
        }
        let may_be_refunded = |event| self.order.was_or_may_be_deleted(event, self.positions);
        let wrong_refund = refunded
            && !(may_be_refunded(E::PaymentSucceeded) && may_be_refunded(E::InventoryOutOfStock))
            && refunds().all(|one| self.positions.is_before_end(one.place));
        let missing = due
            && !refunded
            && self
                .order
                .records(E::InventoryOutOfStock)
                .any(|one| self.is_unanswered(Service::Payment, one));
        let paid = self.order.records(E::PaymentSucceeded).chain(refunds());
        let amounts: BTreeSet<_> = paid.map(|one| one.cents).collect();
        let other_payment = refunds().any(|one| !one.payment_ok);
        let kept = !wrong_refund && !missing && !other_payment && (!refunded || amounts.len() <= 1);
        self.judge(report, Rule::RefundedIfOutOfStock, kept, || {
            format!(
                "paid and out of stock: {due}, refunded: {refunded}, amounts {}",
                money_list(&amounts)
            )
        });
    }

    fn reserved_once(&self, report: &mut Report) {
        use EventType as E;
        let reserved = || self.order.records(E::InventoryReserved);
        let (was, short) = (
            reserved().next().is_some(),
            self.order.was(E::InventoryOutOfStock),
        );
        if !was && !short {
            return;
        }
        let ordered = self.order.first(E::OrderCreated).map(|one| one.goods);
        let same = reserved().all(|one| ordered.is_none_or(|ordered| one.goods == ordered));
        // A decision that was taken after its table was read belongs to a record that nobody had read by then.
        let decided = self
            .order
            .records(E::PaymentSucceeded)
            .any(|one| self.positions.is_read(Service::Inventory, one.place));
        let as_decided = match self.order.decision {
            None => !decided,
            Some(decision) => {
                decision.reserved == was
                    && decision.reserved != short
                    && ordered.is_none_or(|ordered| ordered == decision.goods)
            }
        };
        self.judge(report, Rule::ReservedOnce, same && as_decided, || {
            let decision = match self.order.decision {
                None => "none",
                Some(decision) if decision.reserved => "reserved",
                Some(_) => "out of stock",
            };
            format!(
                "records of InventoryReserved: {}, as ordered: {same}; decision in the database: {decision}",
                reserved().count()
            )
        });
    }

    /// Whether the service has read the record, and neither answered it nor sent it to its dead-letter topic.
    fn is_unanswered(&self, service: Service, record: &EventRecord) -> bool {
        self.positions.is_read(service, record.place)
            && self.order.reaction(service, record.event, self.positions) == Reaction::Missing
            && !self.is_excused(service, record.place)
    }

    /// Whether a dead letter, a record to be tried again, an open transaction or a deletion explains that there is no answer.
    fn is_excused(&self, service: Service, place: Place) -> bool {
        let retries = self.order.retries.iter();
        let retried = |one: &Place| service.consumes().contains(&one.topic);
        self.order.dead_letter_of(service, place).is_some()
            || self.positions.left_out.contains(&(service, place))
            || self
                .positions
                .may_be_deleted(service.dead_letter_topic(), self.id())
            || !self.positions.hidden.is_empty()
            || retries.filter(|one| retried(one)).any(|one| {
                !self.positions.is_read(service, *one)
                    || self.order.dead_letter_of(service, *one).is_some()
            })
    }

    fn events_handled(&self, report: &mut Report) {
        for record in &self.order.events {
            // What order-service does with an event is a fact in its database.
            let services = readers(record.place.topic, record.replayed_for);
            for service in services.filter(|one| *one != Service::Order) {
                let reaction = self.order.reaction(service, record.event, self.positions);
                if reaction == Reaction::Nothing || !self.positions.is_read(service, record.place) {
                    continue;
                }
                let kept = !self.is_unanswered(service, record);
                self.judge(report, Rule::EveryRecordHandled, kept, || {
                    format!(
                        "{service} has read {} at {}, and neither answered it nor made a dead letter of it",
                        record.event, record.place
                    )
                });
            }
        }
    }

    fn one_id_one_body(&self, report: &mut Report) {
        for event in EventType::ALL {
            let records = || self.order.records(event);
            if records().next().is_none() {
                continue;
            }
            let bodies: BTreeSet<_> = records().map(|one| one.body).collect();
            // The ids of OrderCreated have a rule of their own.
            let ids_ok = event == EventType::OrderCreated || records().all(|one| one.id_ok);
            self.judge(report, Rule::OneIdOneBody, ids_ok && bodies.len() == 1, || {
                format!(
                    "{event}: {} records with {} different values; ids as computed from the order: {ids_ok}",
                    records().count(),
                    bodies.len()
                )
            });
        }
    }

    fn answers_have_questions(&self, report: &mut Report) {
        for record in &self.order.events {
            let Some(question) = question_of(record.event) else {
                continue;
            };
            if !self.positions.is_before_end(record.place) {
                continue;
            }
            let exists = self.order.was_or_may_be_deleted(question, self.positions)
                || self.positions.hidden.contains(&question.topic());
            self.judge(
                report,
                Rule::AnswerHasQuestion,
                exists && record.cause_ok,
                || {
                    let place = record.place;
                    match exists {
                        true => format!(
                            "{} at {place} names another event as its cause than {question}",
                            record.event
                        ),
                        false => format!(
                            "{} at {place} answers a {question} that does not exist",
                            record.event
                        ),
                    }
                },
            );
        }
    }
}

fn money(cents: u32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn money_list(amounts: &BTreeSet<u32>) -> String {
    let amounts: Vec<_> = amounts.iter().map(|cents| money(*cents)).collect();
    amounts.join(" and ")
}
