//! Everything about one order, and what follows from it: which facts it has, who has answered what, and why it waits.

use shared_events::{EventType, OrderId, Service, Topic};

use crate::item::{
    DeadLetterRecord, Decision, EventRecord, Fact, Item, LetterState, OrderRow, OtherRecord, Place,
    Replayed, Status,
};
use crate::positions::Positions;

/// The events of every complete saga.
const STORIES: [&[EventType]; 3] = {
    use EventType as E;
    [
        &[E::OrderCreated, E::PaymentSucceeded, E::InventoryReserved],
        &[
            E::OrderCreated,
            E::PaymentSucceeded,
            E::InventoryOutOfStock,
            E::PaymentRefunded,
        ],
        &[E::OrderCreated, E::PaymentFailed],
    ]
};

/// What topics and databases say about one order.
#[derive(Debug, Clone)]
pub(crate) struct OrderHistory {
    pub id: OrderId,
    pub accepted_by_client: bool,
    pub row: Option<OrderRow>,
    /// Rows of the outbox.
    pub outbox: usize,
    pub decision: Option<Decision>,
    /// By event type, then by place.
    pub events: Vec<EventRecord>,
    pub others: Vec<OtherRecord>,
    pub retries: Vec<Place>,
    pub dead_letters: Vec<DeadLetterRecord>,
}

/// Why an order that has not ended may still end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Outbox,
    Unread,
    Retry,
    DeadLetter,
    Discarded,
    OpenTransaction,
}

/// What a service does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// The service ignores events of this type.
    Nothing,
    /// The reaction is there.
    Done,
    Missing,
}

impl OrderHistory {
    /// Collects the items of one order.
    pub fn new(id: OrderId, items: &[Item]) -> Self {
        let mut history = Self {
            id,
            accepted_by_client: false,
            row: None,
            outbox: 0,
            decision: None,
            events: Vec::new(),
            others: Vec::new(),
            retries: Vec::new(),
            dead_letters: Vec::new(),
        };
        for item in items {
            match item.fact {
                Fact::AcceptedByClient => history.accepted_by_client = true,
                Fact::Row(row) => history.row = Some(row),
                Fact::Outbox => history.outbox += 1,
                Fact::Decision(decision) => history.decision = Some(decision),
                Fact::Event(event) => history.events.push(event),
                Fact::Other(other) => history.others.push(other),
                Fact::Retry(place) => history.retries.push(place),
                Fact::DeadLetter(letter) => history.dead_letters.push(letter),
            }
        }
        history.events.sort_by_key(|one| (one.event, one.place));
        history
    }

    /// The records of one event type.
    pub fn records(&self, event: EventType) -> impl Iterator<Item = &EventRecord> {
        self.events.iter().filter(move |one| one.event == event)
    }

    pub fn first(&self, event: EventType) -> Option<&EventRecord> {
        self.records(event).next()
    }

    /// Whether a topic has the event.
    pub fn was(&self, event: EventType) -> bool {
        self.first(event).is_some()
    }

    /// Whether the row of order-service has the fact.
    pub fn knows(&self, event: EventType) -> bool {
        let facts = self.row.map_or(0, |row| row.facts);
        facts & fact_bit(event) != 0
    }

    /// Whether the event was published: it is in its topic, or it may have been deleted there and the database knows it.
    pub fn was_or_is_known(&self, event: EventType, positions: &Positions) -> bool {
        let deleted = || positions.may_be_deleted(event.topic(), self.id);
        self.was(event) || (self.knows(event) && deleted())
    }

    /// Whether the event is there, or may have been deleted.
    pub fn was_or_may_be_deleted(&self, event: EventType, positions: &Positions) -> bool {
        self.was(event) || positions.may_be_deleted(event.topic(), self.id)
    }

    /// Whether the shop has promised to process the order.
    pub fn is_accepted(&self) -> bool {
        self.accepted_by_client
            || self.knows(EventType::OrderCreated)
            || self.was(EventType::OrderCreated)
    }

    /// Whether the order has a final status.
    pub fn is_ended(&self) -> bool {
        let status = self.row.map(|row| row.status);
        matches!(
            status,
            Some(Status::Confirmed | Status::Cancelled | Status::Failed)
        )
    }

    /// What this service does with an event of the order, whether or not it has read the record.
    pub fn reaction(&self, service: Service, event: EventType, positions: &Positions) -> Reaction {
        let found = match (service, answers_to(event)) {
            (Service::Order, _) => self.knows(event),
            (_, Some((by, answers))) if by == service => answers
                .iter()
                .any(|answer| self.was_or_is_known(*answer, positions)),
            _ => return Reaction::Nothing,
        };
        match found {
            true => Reaction::Done,
            false => Reaction::Missing,
        }
    }

    /// The dead letter that this service has made of the record.
    pub fn dead_letter_of(&self, service: Service, place: Place) -> Option<&DeadLetterRecord> {
        let of_service = |one: &&DeadLetterRecord| one.group == Some(service);
        let mut all = self.dead_letters.iter().filter(of_service);
        all.find(|one| one.original == Some(place))
    }

    /// Whether something can continue the order, and what. The first reason that is found.
    pub fn waiting(&self, positions: &Positions) -> Option<Waiting> {
        if self.outbox > 0 {
            return Some(Waiting::Outbox);
        }
        let unread = self.events.iter().any(|record| {
            readers(record.place.topic, record.replayed_for).any(|service| {
                !positions.is_read(service, record.place)
                    && self.reaction(service, record.event, positions) == Reaction::Missing
            })
        });
        if unread {
            return Some(Waiting::Unread);
        }
        let is_unread = |place: &Place| {
            readers(place.topic, Replayed::No).any(|one| !positions.is_read(one, *place))
        };
        if self.retries.iter().any(is_unread) {
            return Some(Waiting::Retry);
        }
        let has = |state| self.dead_letters.iter().any(|one| one.state == state);
        let left_out = |record: &EventRecord| {
            let mut all = Service::ALL.into_iter();
            all.any(|service| positions.left_out.contains(&(service, record.place)))
        };
        if has(LetterState::Waiting) || self.events.iter().any(left_out) {
            return Some(Waiting::DeadLetter);
        }
        if has(LetterState::Discarded) {
            return Some(Waiting::Discarded);
        }
        let hidden = !positions.hidden.is_empty();
        hidden.then_some(Waiting::OpenTransaction)
    }

    /// The events that the topics or the database have, as bits.
    pub fn evidence(&self) -> u8 {
        let events = self.events.iter().map(|one| fact_bit(one.event));
        events.fold(self.row.map_or(0, |row| row.facts), |all, bit| all | bit)
    }
}

/// The services that handle a record of this topic.
pub(crate) fn readers(topic: Topic, replayed_for: Replayed) -> impl Iterator<Item = Service> {
    let all = Service::ALL.into_iter();
    all.filter(move |service| {
        let meant = match replayed_for {
            Replayed::No => true,
            Replayed::For(group) => group == *service,
            Replayed::ForAnother => false,
        };
        meant && service.consumes().contains(&topic)
    })
}

/// The service that answers an event, and the possible answers; `None` for an event that needs no answer.
pub(crate) const fn answers_to(event: EventType) -> Option<(Service, &'static [EventType])> {
    use EventType as E;
    match event {
        E::OrderCreated => Some((Service::Payment, &[E::PaymentSucceeded, E::PaymentFailed])),
        E::PaymentSucceeded => Some((
            Service::Inventory,
            &[E::InventoryReserved, E::InventoryOutOfStock],
        )),
        E::InventoryOutOfStock => Some((Service::Payment, &[E::PaymentRefunded])),
        E::PaymentFailed | E::InventoryReserved | E::PaymentRefunded => None,
    }
}

/// The event that this one answers; `None` for the first event of a saga.
pub(crate) const fn question_of(event: EventType) -> Option<EventType> {
    use EventType as E;
    match event {
        E::OrderCreated => None,
        E::PaymentSucceeded | E::PaymentFailed => Some(E::OrderCreated),
        E::InventoryReserved | E::InventoryOutOfStock => Some(E::PaymentSucceeded),
        E::PaymentRefunded => Some(E::InventoryOutOfStock),
    }
}

/// The bit of a fact in [`OrderRow::facts`].
pub(crate) fn fact_bit(event: EventType) -> u8 {
    let at = EventType::ALL.iter().position(|one| *one == event);
    at.map_or(0, |at| 1 << at)
}

/// The status that follows from facts: the specification is `Facts::status` of order-service.
pub(crate) fn status_of(facts: u8) -> Status {
    let has = |event| facts & fact_bit(event) != 0;
    if has(EventType::PaymentRefunded) {
        Status::Cancelled
    } else if has(EventType::PaymentFailed) {
        Status::Failed
    } else if has(EventType::InventoryReserved) {
        Status::Confirmed
    } else if has(EventType::InventoryOutOfStock) {
        Status::Refunding
    } else if has(EventType::PaymentSucceeded) {
        Status::Paid
    } else {
        Status::Pending
    }
}

/// Whether one story has all these facts; with `complete`, whether they are all facts of a story.
pub(crate) fn is_one_story(facts: u8, complete: bool) -> bool {
    STORIES.into_iter().any(|story| {
        let story = story.iter().fold(0, |all, event| all | fact_bit(*event));
        match complete {
            true => facts == story,
            false => facts & !story == 0,
        }
    })
}

/// The names of facts, for a message.
pub(crate) fn names(facts: u8) -> String {
    let all = EventType::ALL.into_iter();
    let names = all.filter(|event| facts & fact_bit(*event) != 0);
    let names: Vec<_> = names.map(EventType::name).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}
