//! What an order of a history can wait for: a row of the outbox, an unread record, a record to be tried again, a dead letter.

use shared_events::{EventType, OrderId, Service};

use super::events::row;
use super::history::{CONFIRMED, History};
use crate::item::{DeadLetterRecord, Fact, Item, LetterState, Place, Subject};
use crate::order_history::fact_bit;

impl History {
    /// A fourth order, accepted and nothing else.
    pub fn add_pending_row(&mut self) {
        let facts = fact_bit(EventType::OrderCreated);
        self.rows.insert(OrderId::now(), row(facts));
    }

    /// The event of the newest order is in the outbox.
    pub fn add_outbox_row(&mut self) {
        self.outbox
            .extend(self.rows.last_key_value().map(|(id, _)| *id));
    }

    /// A service has not read this record, and nothing after it.
    pub fn unread(&mut self, service: Service, order: usize, event: EventType) {
        let offset = self.record(order, event).offset;
        let at = (service, event.topic(), 0);
        self.positions.committed.insert(at, offset);
    }

    /// A dead letter of the last record. Returns the place that it names.
    pub fn dead_letter(&mut self, group: Service, state: LetterState) -> &mut Place {
        let record = self.records.last().unwrap();
        let original = Place {
            topic: record.topic.parse().unwrap(),
            partition: record.partition,
            offset: record.offset,
        };
        self.add_letter(Subject::place(original), group, original, state)
    }

    /// inventory-service has sent the payment of the confirmed order to its dead-letter topic instead of reserving.
    pub fn not_reserved(&mut self, state: LetterState) {
        self.forget(CONFIRMED, EventType::InventoryReserved);
        let paid = EventType::PaymentSucceeded;
        let original = Place {
            topic: paid.topic(),
            partition: 0,
            offset: self.record(CONFIRMED, paid).offset,
        };
        let subject = Subject::order(self.ids[CONFIRMED]);
        self.add_letter(subject, Service::Inventory, original, state);
    }

    fn add_letter(
        &mut self,
        subject: Subject,
        group: Service,
        original: Place,
        state: LetterState,
    ) -> &mut Place {
        let place = Place {
            topic: group.dead_letter_topic(),
            partition: 0,
            offset: self.others.len() as i64,
        };
        let letter = DeadLetterRecord {
            place,
            original: Some(original),
            group: Some(group),
            state,
        };
        self.others.push(Item {
            subject,
            fact: Fact::DeadLetter(letter),
        });
        match &mut self.others.last_mut().unwrap().fact {
            Fact::DeadLetter(letter) => letter.original.as_mut().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// payment-service has an unread record of the order in its retry topic.
    pub fn retry(&mut self, order: usize) {
        let topic = Service::Payment.retry_topic().unwrap();
        let place = Place {
            topic,
            partition: 0,
            offset: 2_000,
        };
        let subject = Subject::order(self.ids[order]);
        self.others.push(Item {
            subject,
            fact: Fact::Retry(place),
        });
    }
}
