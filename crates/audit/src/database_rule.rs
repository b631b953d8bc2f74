//! The rule that compares the table `orders` with the topics.

use shared_events::{EventType, Service};

use crate::Rule;
use crate::order_history::{fact_bit, names, readers, status_of};
use crate::order_rules::OrderRules;
use crate::report::Report;

impl OrderRules<'_> {
    pub(crate) fn database_matches_topics(&self, report: &mut Report) {
        let missing = self.facts_not_in_row();
        let invented = self.facts_not_in_topics();
        let Some(row) = self.order.row else {
            if missing != 0 {
                self.judge(report, Rule::DatabaseMatchesTopics, false, || {
                    let facts = names(missing);
                    format!("it has no row in the table orders; its facts: {facts}")
                });
            }
            return;
        };
        let status_ok = row.status == status_of(row.facts);
        let created = self.order.first(EventType::OrderCreated);
        let ordered_ok = match (row.ordered, created) {
            (Some(ordered), Some(created)) => ordered == (created.goods, created.cents),
            (Some(_), None) | (None, _) => true,
        };
        let content_ok = ordered_ok && row.payment_ok;
        let kept = missing == 0 && invented == 0 && status_ok && content_ok;
        self.judge(report, Rule::DatabaseMatchesTopics, kept, || {
            format!(
                "facts in topics and not in the table orders: {}; in the table and not in topics: {}; status {:?} follows from its facts: {status_ok}; product, quantity, amount and payment as published: {content_ok}",
                names(missing),
                names(invented),
                row.status,
            )
        });
    }

    /// The facts that order-service has read, and that its row has not.
    fn facts_not_in_row(&self) -> u8 {
        let service = Service::Order;
        let read = self.order.events.iter().filter(|record| {
            let meant = readers(record.place.topic, record.replayed_for);
            meant.into_iter().any(|one| one == service)
                && self.positions.is_read(service, record.place)
                && self.order.dead_letter_of(service, record.place).is_none()
                && !self.positions.left_out.contains(&(service, record.place))
        });
        let unknown = read.filter(|record| !self.order.knows(record.event));
        unknown.fold(0, |all, record| all | fact_bit(record.event))
    }

    /// The facts that the row has, and no topic. An order's own `OrderCreated` is written before it is published.
    fn facts_not_in_topics(&self) -> u8 {
        let all = EventType::ALL.into_iter();
        let invented = all.filter(|event| {
            *event != EventType::OrderCreated
                && self.order.knows(*event)
                && !self.order.was_or_may_be_deleted(*event, self.positions)
                && !self.positions.hidden.contains(&event.topic())
        });
        invented.fold(0, |all, event| all | fact_bit(event))
    }
}
