//! The rules that hold only without duplicates and unexpected dead letters, see [`Allowed`](crate::Allowed).

use shared_events::{EventType, Topic};

use crate::Rule;
use crate::item::{EventRecord, Replayed, Status};
use crate::order_history::{answers_to, readers};
use crate::order_rules::OrderRules;
use crate::report::Report;

impl OrderRules<'_> {
    pub(crate) fn no_duplicates(&self, report: &mut Report) {
        if !self.allowed.duplicate_orders {
            let created = self.order.records(EventType::OrderCreated);
            let times = created
                .filter(|one| one.replayed_for == Replayed::No)
                .count();
            if times > 0 {
                self.judge(report, Rule::PublishedOnce, times == 1, || {
                    format!("OrderCreated was published {times} times")
                });
            }
        }
        if self.allowed.duplicate_outputs {
            return;
        }
        for event in EventType::ALL {
            let Some((service, answers)) = answers_to(event) else {
                continue;
            };
            let handled = |record: &&EventRecord| {
                readers(record.place.topic, record.replayed_for).any(|one| one == service)
                    && self.positions.is_read(service, record.place)
                    && self.order.dead_letter_of(service, record.place).is_none()
            };
            let records = self.order.records(event).filter(handled).count();
            let answers = answers
                .iter()
                .map(|answer| self.order.records(*answer).count());
            let answers = answers.sum::<usize>();
            // A missing answer is reported by EveryRecordHandled, an answer without a question by AnswerHasQuestion.
            if records > 0 && answers > 0 {
                self.judge(report, Rule::OneOutputPerRecord, records == answers, || {
                    format!("records of {event}: {records}, answers: {answers}")
                });
            }
        }
    }

    pub(crate) fn expected_dead_letters(&self, report: &mut Report) {
        if self.allowed.any_dead_letter {
            return;
        }
        let found: Vec<_> = self
            .order
            .dead_letters
            .iter()
            .map(|one| one.place.topic)
            .collect();
        let status = self.order.row.map(|row| row.status);
        let kept = match self.allowed.dead_letters.contains(&self.id()) {
            true => found == [Topic::InventoryDlq] && status == Some(Status::Paid),
            false => found.is_empty(),
        };
        self.judge(report, Rule::NoUnexpectedDeadLetter, kept, || {
            format!("{status:?}, dead letters in {found:?}")
        });
    }
}
