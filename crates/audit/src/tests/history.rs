//! A history of three orders that a test can manipulate.

use std::collections::BTreeMap;

use cluster_reader::LagUndefined;
use kafka_admin::records::Record;
use shared_events::{EventType, NamePrefix, OrderId, Service, Topic};

use super::events::{goods, record, row};
use crate::item::{Decision, Fact, Item, OrderRow, Subject};
use crate::item_files::ItemFiles;
use crate::order_history::{fact_bit, status_of};
use crate::other_rules::{Outbox, ProductStock, check_offset, check_outbox, check_stock};
use crate::positions::Positions;
use crate::topic_items::record_item;
use crate::{Allowed, Report};

pub const CONFIRMED: usize = 0;
pub const CANCELLED: usize = 1;
pub const FAILED: usize = 2;

pub struct History {
    pub(super) ids: [OrderId; 3],
    pub keep_rows: bool,
    pub(super) rows: BTreeMap<OrderId, OrderRow>,
    pub(super) outbox: Vec<OrderId>,
    decisions: BTreeMap<OrderId, Decision>,
    pub records: Vec<Record>,
    pub(super) others: Vec<Item>,
    pub stock: ProductStock,
    pub offset: Option<LagUndefined>,
    pub outbox_age: Outbox,
    pub positions: Positions,
}

impl History {
    /// One order confirmed, one cancelled, one failed, and everything read by every group.
    pub fn correct() -> Self {
        let mut ids = [(); 3].map(|()| OrderId::now());
        ids.sort();
        let mut history = Self {
            ids,
            keep_rows: true,
            rows: BTreeMap::new(),
            outbox: Vec::new(),
            decisions: BTreeMap::new(),
            records: Vec::new(),
            others: Vec::new(),
            stock: ProductStock {
                product: "prod".to_owned(),
                given: 9,
                reserved: 2,
                now: 7,
            },
            offset: None,
            outbox_age: Outbox::default(),
            positions: Positions::default(),
        };
        for topic in Topic::ALL {
            for partition in 0..2 {
                history.positions.ends.insert((topic, partition), 1_000);
                history.positions.first_read.insert((topic, partition), 0);
                for service in Service::ALL {
                    let at = (service, topic, partition);
                    history.positions.committed.insert(at, 1_000);
                }
            }
        }
        use EventType as E;
        let stories: [&[E]; 3] = [
            &[E::OrderCreated, E::PaymentSucceeded, E::InventoryReserved],
            &[
                E::OrderCreated,
                E::PaymentSucceeded,
                E::InventoryOutOfStock,
                E::PaymentRefunded,
            ],
            &[E::OrderCreated, E::PaymentFailed],
        ];
        for (order, story) in stories.into_iter().enumerate() {
            let facts = story.iter().fold(0, |all, event| all | fact_bit(*event));
            history.rows.insert(ids[order], row(facts));
            for event in story {
                history.publish(order, *event);
            }
        }
        for order in [CONFIRMED, CANCELLED] {
            let reserved = order == CONFIRMED;
            history.decisions.insert(
                ids[order],
                Decision {
                    reserved,
                    goods: goods(),
                },
            );
        }
        history
    }

    pub fn audit(&self, allowed: &Allowed) -> Report {
        let files = ItemFiles::create(&std::env::temp_dir(), 200_000).unwrap();
        let order = |id: &OrderId, fact| Item {
            subject: Subject::order(*id),
            fact,
        };
        let rows = self.rows.iter().filter(|_| self.keep_rows);
        let rows = rows.map(|(id, row)| order(id, Fact::Row(*row)));
        let decisions = self.decisions.iter().filter(|_| self.keep_rows);
        let decisions = decisions.map(|(id, one)| order(id, Fact::Decision(*one)));
        let outbox = self.outbox.iter().map(|id| order(id, Fact::Outbox));
        let records = self.records.iter().map(|record| {
            record_item(
                record.topic.parse().unwrap(),
                record,
                &NamePrefix::default(),
            )
        });
        for item in rows.chain(decisions).chain(outbox).chain(records) {
            files.add(item);
        }
        for item in &self.others {
            files.add(*item);
        }
        let mut report = Report::default();
        check_stock(&self.stock, &mut report);
        check_outbox(self.outbox_age, true, &mut report);
        check_offset(
            Service::Order,
            (Topic::Orders, 0),
            5,
            self.offset,
            &mut report,
        );
        crate::audit::check_items(files, &self.positions, allowed, &mut report).unwrap();
        report
    }

    pub fn id(&self, order: usize) -> OrderId {
        self.ids[order]
    }

    /// Publishes an event after everything else, with the content that it should have.
    pub fn publish(&mut self, order: usize, event: EventType) {
        let offset = self.records.len() as i64;
        self.records.push(record(self.ids[order], event, offset));
    }

    /// Publishes a record that is no event.
    pub fn publish_poison(&mut self, topic: Topic) {
        self.records.push(Record {
            topic: topic.name().to_owned(),
            partition: 0,
            offset: self.records.len() as i64,
            timestamp_ms: Some(0),
            key: None,
            headers: Some(Vec::new()),
            value: Some(b"poison".to_vec()),
        });
    }

    /// The last record of an event.
    pub fn record(&mut self, order: usize, event: EventType) -> &mut Record {
        let id = self.ids[order];
        let is_it = |one: &&mut Record| {
            let key = one.key.as_deref() == Some(id.to_string().as_bytes());
            key && one
                .header_pairs()
                .any(|(_, value)| value == Some(event.name().as_bytes()))
        };
        self.records.iter_mut().rev().find(is_it).unwrap()
    }

    /// Gives a header of a record the id of no event of the order.
    pub fn set_header(&mut self, order: usize, event: EventType, name: &str) {
        let record = self.record(order, event);
        for (header, value) in record.headers.iter_mut().flatten() {
            if header == name {
                *value = Some(OrderId::now().to_string().into_bytes());
            }
        }
    }

    /// Replaces a text in the value of the last record of an event.
    pub fn change(&mut self, order: usize, event: EventType, from: &str, to: &str) {
        let record = self.record(order, event);
        let value = String::from_utf8(record.value.take().unwrap()).unwrap();
        assert!(value.contains(from), "{value}");
        record.value = Some(value.replace(from, to).into_bytes());
    }

    pub fn move_to_end(&mut self, order: usize, event: EventType) {
        let end = self.records.len() as i64;
        self.record(order, event).offset = end;
    }

    /// Removes an event, and what databases know of it.
    pub fn forget(&mut self, order: usize, event: EventType) {
        let record = self.record(order, event).clone();
        self.records.retain(|one| *one != record);
        self.remove_fact(order, event);
        if event == EventType::InventoryReserved {
            self.decisions.remove(&self.ids[order]);
        }
        self.set_status(order);
    }

    pub fn add_fact(&mut self, order: usize, event: EventType) {
        self.rows.get_mut(&self.ids[order]).unwrap().facts |= fact_bit(event);
        self.set_status(order);
    }

    pub fn remove_fact(&mut self, order: usize, event: EventType) {
        self.rows.get_mut(&self.ids[order]).unwrap().facts &= !fact_bit(event);
    }

    fn set_status(&mut self, order: usize) {
        let row = self.rows.get_mut(&self.ids[order]).unwrap();
        row.status = status_of(row.facts);
    }

    pub fn decision(&mut self, order: usize) -> &mut Decision {
        self.decisions.get_mut(&self.ids[order]).unwrap()
    }
}
