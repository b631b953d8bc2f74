//! The figures of one order: what became of it, and its repeated, replayed and misplaced records.

use std::collections::BTreeSet;

use crate::Rule;
use crate::item::{EventRecord, Replayed};
use crate::order_history::{Waiting, names};
use crate::order_rules::OrderRules;
use crate::positions::EVENT_TOPICS;
use crate::report::Report;

impl OrderRules<'_> {
    /// Adds the order to the figures.
    pub(crate) fn count(&self, report: &mut Report) {
        self.count_records(report);
        if !self.order.is_accepted() {
            return;
        }
        let waiting = match self.order.is_ended() {
            true => None,
            false => self.order.waiting(self.positions),
        };
        let figures = &mut report.figures;
        figures.accepted += 1;
        match waiting {
            _ if self.order.is_ended() => figures.ended += 1,
            None => figures.lost += 1,
            Some(waiting) => {
                figures.waiting += 1;
                let waiting_for = &mut figures.waiting_for;
                *match waiting {
                    Waiting::Outbox => &mut waiting_for.outbox,
                    Waiting::Unread => &mut waiting_for.unread,
                    Waiting::Retry => &mut waiting_for.retry,
                    Waiting::DeadLetter => &mut waiting_for.dead_letter,
                    Waiting::Discarded => &mut waiting_for.discarded,
                    Waiting::OpenTransaction => &mut waiting_for.open_transaction,
                } += 1;
            }
        }
        let kept = self.order.is_ended() || waiting.is_some();
        self.judge(report, Rule::EveryOrderEndsOrWaits, kept, || {
            let facts = names(self.order.evidence());
            format!("it has not ended, and nothing can continue it; its facts: {facts}")
        });
    }

    fn count_records(&self, report: &mut Report) {
        let figures = &mut report.figures;
        let older = EVENT_TOPICS
            .iter()
            .any(|topic| self.positions.may_be_deleted(*topic, self.id()));
        figures.older_than_log += u64::from(older);
        let mut out_of_order = false;
        for topic in EVENT_TOPICS {
            let in_topic = || {
                self.order
                    .events
                    .iter()
                    .filter(move |one| one.place.topic == topic)
            };
            let own = in_topic().filter(|one| one.replayed_for == Replayed::No);
            let types: BTreeSet<_> = own.clone().map(|one| one.event).collect();
            let doubled = own.clone().count() - types.len();
            if doubled > 0 {
                figures.doubled += doubled as u64;
                *figures
                    .doubled_in
                    .entry(topic.name().to_owned())
                    .or_default() += doubled as u64;
            }
            let partitions: BTreeSet<_> = own.clone().map(|one| one.place.partition).collect();
            figures.split_over_partitions += u64::from(partitions.len() > 1);
            figures.replayed += (in_topic().count() - own.clone().count()) as u64;
            // The records are sorted by event type, and the types by the order of the saga.
            let firsts: Vec<_> = types
                .iter()
                .filter_map(|event| self.order.first(*event))
                .collect();
            out_of_order |= firsts.windows(2).any(|pair| match pair {
                [before, after] => is_reversed(before, after),
                _ => false,
            });
        }
        figures.out_of_order += u64::from(out_of_order);
        let unknown = self.order.others.iter().filter(|one| one.unknown_type);
        figures.unknown_type += unknown.count() as u64;
    }
}

/// Whether two records of one topic are in the reverse of the saga's order.
fn is_reversed(before: &EventRecord, after: &EventRecord) -> bool {
    match before.place.partition == after.place.partition {
        true => before.place.offset > after.place.offset,
        false => before.timestamp_ms > after.timestamp_ms,
    }
}
