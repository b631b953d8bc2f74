//! How far each group had read and how far each topic went when the audit read them.
//!
//! A running shop changes while it is audited. Committed offsets are read first. Then a snapshot of each database is taken, then the
//! dead letters are read, then the ends of the topics, and then the topics up to these ends and beyond, while the rows of the
//! snapshots are read. So whatever a group had committed is already in the databases and topics as the audit sees them, and
//! whatever it had not committed counts as unread.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use shared_events::{OrderId, Service, Topic};

use crate::item::Place;

/// The topics that events are published to.
pub(crate) const EVENT_TOPICS: [Topic; 3] = [Topic::Orders, Topic::Payments, Topic::Inventory];

/// The topics beside [`EVENT_TOPICS`] that a service reads: records to be tried again.
pub(crate) fn retry_topics() -> impl Iterator<Item = Topic> {
    let consumed = |topic: &Topic| {
        Service::ALL
            .iter()
            .any(|one| one.consumes().contains(topic))
    };
    let all = Topic::ALL.into_iter().filter(consumed);
    all.filter(|topic| !EVENT_TOPICS.contains(topic))
}

/// What the audit knows about the partitions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Positions {
    /// The committed offset of each group. Left out where it is beyond the end, so that nothing counts as read there.
    pub committed: BTreeMap<(Service, Topic, i32), i64>,
    /// The end of each partition. Answers after it may be to questions that the audit has not read.
    pub ends: BTreeMap<(Topic, i32), i64>,
    /// The offset of the oldest record that the audit has read.
    pub first_read: BTreeMap<(Topic, i32), i64>,
    /// The time of the oldest record that is left, in the topics of which records were deleted. Milliseconds since 1970.
    pub deleted_before: BTreeMap<Topic, i64>,
    /// The topics of which an open transaction hides records.
    pub hidden: BTreeSet<Topic>,
    /// Records whose dead letter has neither key nor value, because the record was too large.
    pub left_out: BTreeSet<(Service, Place)>,
}

impl Positions {
    /// Whether a group has read this record.
    pub fn is_read(&self, service: Service, place: Place) -> bool {
        let committed = self.committed.get(&(service, place.topic, place.partition));
        committed.is_some_and(|next| place.offset < *next)
    }

    /// Whether the record was there when the ends were read.
    pub fn is_before_end(&self, place: Place) -> bool {
        let end = self.ends.get(&(place.topic, place.partition));
        end.is_some_and(|end| place.offset < *end)
    }

    /// Whether records of this order may have been deleted from the topic.
    pub fn may_be_deleted(&self, topic: Topic, order: OrderId) -> bool {
        let before = self.deleted_before.get(&topic);
        before.is_some_and(|before| created_ms(order) < *before)
    }

    /// Whether the record may have been deleted before the audit read its partition.
    pub fn is_before_first_read(&self, place: Place) -> bool {
        match self.first_read.get(&(place.topic, place.partition)) {
            Some(first) => place.offset < *first,
            None => self.is_before_end(place),
        }
    }

    /// A sentence for each topic of which records were deleted or are hidden.
    pub fn notes(&self) -> Vec<String> {
        let deleted = self.deleted_before.iter().map(|(topic, before)| {
            let time = DateTime::<Utc>::from_timestamp_millis(*before).unwrap_or_default();
            let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("{topic}: records before {time} may have been deleted, so what is missing there of older orders is not judged")
        });
        let hidden = self.hidden.iter().map(|topic| {
            format!("{topic}: an open transaction hides records: ./sandbox transactions list")
        });
        deleted.chain(hidden).collect()
    }
}

/// When an order was created, milliseconds since 1970: its id is a UUIDv7, which begins with the time.
pub(crate) fn created_ms(order: OrderId) -> i64 {
    i64::try_from(order.as_uuid().as_u128() >> 80).unwrap_or(i64::MAX)
}
