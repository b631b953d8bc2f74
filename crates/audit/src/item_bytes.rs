//! Items as bytes, all of one size: [`Item::to_bytes`] and [`Item::from_bytes`].

use bytes::{Buf, BufMut};
use shared_events::{EventType, Service, Topic};

use crate::item::{
    DeadLetterRecord, Decision, EventRecord, Fact, Goods, Item, LetterState, OrderRow, OtherRecord,
    Place, Replayed, Status, Subject,
};

/// The size of an item, bytes.
pub(crate) const ITEM_BYTES: usize = 64;

/// The number of a value in the list of all values.
fn index<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let found = all.iter().position(|one| one == value);
    found
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}

fn at_index<T: Copy>(all: &[T], index: u8) -> Option<T> {
    all.get(usize::from(index)).copied()
}

fn put_place(to: &mut impl BufMut, place: Place) {
    to.put_u8(index(&Topic::ALL, &place.topic));
    to.put_i32(place.partition);
    to.put_i64(place.offset);
}

fn get_place(from: &mut impl Buf) -> Option<Place> {
    let (topic, partition, offset) = (from.get_u8(), from.get_i32(), from.get_i64());
    Some(Place {
        topic: at_index(&Topic::ALL, topic)?,
        partition,
        offset,
    })
}

fn put_goods(to: &mut impl BufMut, goods: Goods) {
    to.put_u64(goods.product);
    to.put_u16(goods.quantity);
}

fn get_goods(from: &mut impl Buf) -> Goods {
    Goods {
        product: from.get_u64(),
        quantity: from.get_u16(),
    }
}

fn flags(flags: &[bool]) -> u8 {
    let bits = flags.iter().enumerate();
    bits.fold(0, |all, (bit, set)| all | (u8::from(*set) << bit))
}

impl Item {
    /// Appends the item to a buffer, [`ITEM_BYTES`] long.
    pub fn to_bytes(self, to: &mut Vec<u8>) {
        let end = to.len() + ITEM_BYTES;
        to.put_u128(self.subject.id);
        to.put_u8(self.subject.is_order.into());
        match self.fact {
            Fact::AcceptedByClient => to.put_u8(0),
            Fact::Row(row) => {
                to.put_u8(1);
                put_row(to, row);
            }
            Fact::Outbox => to.put_u8(2),
            Fact::Decision(decision) => {
                to.put_u8(3);
                to.put_u8(decision.reserved.into());
                put_goods(to, decision.goods);
            }
            Fact::Event(event) => {
                to.put_u8(4);
                put_event(to, event);
            }
            Fact::Other(other) => {
                to.put_u8(5);
                put_place(to, other.place);
                to.put_u8(index(&Replayed::ALL, &other.replayed_for));
                to.put_u8(other.unknown_type.into());
            }
            Fact::Retry(place) => {
                to.put_u8(6);
                put_place(to, place);
            }
            Fact::DeadLetter(letter) => {
                to.put_u8(7);
                put_letter(to, letter);
            }
        }
        to.resize(end, 0);
    }

    /// Reads what [`Self::to_bytes`] has written. `None` if these are other bytes.
    pub fn from_bytes(mut from: &[u8]) -> Option<Self> {
        if from.len() != ITEM_BYTES {
            return None;
        }
        let from = &mut from;
        let subject = Subject {
            id: from.get_u128(),
            is_order: from.get_u8() != 0,
        };
        let fact = match from.get_u8() {
            0 => Fact::AcceptedByClient,
            1 => Fact::Row(get_row(from)?),
            2 => Fact::Outbox,
            3 => Fact::Decision(Decision {
                reserved: from.get_u8() != 0,
                goods: get_goods(from),
            }),
            4 => Fact::Event(get_event(from)?),
            5 => Fact::Other(OtherRecord {
                place: get_place(from)?,
                replayed_for: at_index(&Replayed::ALL, from.get_u8())?,
                unknown_type: from.get_u8() != 0,
            }),
            6 => Fact::Retry(get_place(from)?),
            7 => Fact::DeadLetter(get_letter(from)?),
            _ => return None,
        };
        Some(Self { subject, fact })
    }
}

fn put_row(to: &mut impl BufMut, row: OrderRow) {
    let (goods, cents) = row.ordered.unwrap_or_default();
    to.put_u8(row.facts);
    to.put_u8(index(&Status::ALL, &row.status));
    to.put_u8(flags(&[row.ordered.is_some(), row.payment_ok]));
    put_goods(to, goods);
    to.put_u32(cents);
}

fn get_row(from: &mut impl Buf) -> Option<OrderRow> {
    let (facts, status, flags) = (from.get_u8(), from.get_u8(), from.get_u8());
    let ordered = (get_goods(from), from.get_u32());
    Some(OrderRow {
        facts,
        status: at_index(&Status::ALL, status)?,
        ordered: (flags & 1 != 0).then_some(ordered),
        payment_ok: flags & 2 != 0,
    })
}

fn put_event(to: &mut impl BufMut, event: EventRecord) {
    to.put_u8(index(&EventType::ALL, &event.event));
    put_place(to, event.place);
    to.put_i64(event.timestamp_ms);
    to.put_u8(flags(&[event.id_ok, event.cause_ok, event.payment_ok]));
    to.put_u8(index(&Replayed::ALL, &event.replayed_for));
    to.put_u64(event.body);
    put_goods(to, event.goods);
    to.put_u32(event.cents);
}

fn get_event(from: &mut impl Buf) -> Option<EventRecord> {
    let event = at_index(&EventType::ALL, from.get_u8())?;
    let place = get_place(from)?;
    let (timestamp_ms, flags) = (from.get_i64(), from.get_u8());
    Some(EventRecord {
        event,
        place,
        timestamp_ms,
        id_ok: flags & 1 != 0,
        cause_ok: flags & 2 != 0,
        payment_ok: flags & 4 != 0,
        replayed_for: at_index(&Replayed::ALL, from.get_u8())?,
        body: from.get_u64(),
        goods: get_goods(from),
        cents: from.get_u32(),
    })
}

fn put_letter(to: &mut impl BufMut, letter: DeadLetterRecord) {
    put_place(to, letter.place);
    to.put_u8(letter.original.is_some().into());
    put_place(to, letter.original.unwrap_or(letter.place));
    let group = letter.group.map(|group| index(&Service::ALL, &group));
    to.put_u8(group.unwrap_or(u8::MAX));
    to.put_u8(index(&LetterState::ALL, &letter.state));
}

fn get_letter(from: &mut impl Buf) -> Option<DeadLetterRecord> {
    let place = get_place(from)?;
    let is_named = from.get_u8() != 0;
    let original = get_place(from)?;
    Some(DeadLetterRecord {
        place,
        original: is_named.then_some(original),
        group: at_index(&Service::ALL, from.get_u8()),
        state: at_index(&LetterState::ALL, from.get_u8())?,
    })
}
