//! The invariants, by name.

use std::fmt;

/// An invariant of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every accepted order ends, or something that is still there can continue it: a row of the outbox, an unread record, a dead
    /// letter.
    EveryOrderEndsOrWaits,
    /// Every accepted order has an `OrderCreated` with one event id, or its row in the outbox.
    OneOrderCreated,
    /// The facts of an order belong to one story (paid and reserved; paid, out of stock and refunded; declined), and an ended order
    /// has all facts of its story.
    OneStory,
    /// An order is paid at most once, with the amount of the order.
    PaidOnce,
    /// Exactly the orders that were out of stock after their payment are refunded, in full.
    RefundedIfOutOfStock,
    /// An order reserves at most once, what it ordered, and as inventory-service's database says.
    ReservedOnce,
    /// Stock at the start, with what was set by hand, minus reserved pieces is the stock now.
    StockAddsUp,
    /// A service has answered every record that it has read, or sent it to its dead-letter topic, or had a reason to skip it.
    EveryRecordHandled,
    /// All records of an event have the id of that event, and the same bytes.
    OneIdOneBody,
    /// Every answer names the event that it answers, and that event exists.
    AnswerHasQuestion,
    /// No group has committed an offset beyond the end of a partition.
    OffsetsWithinLog,
    /// The outbox is empty once every group is caught up.
    OutboxEmpty,
    /// Every dead letter names a record that exists, or one that was deleted meanwhile.
    DeadLettersNameRecords,
    /// A row of the table `orders` has exactly the facts that the topics have, and the status that follows from them.
    DatabaseMatchesTopics,
    /// `OrderCreated` is published once for each order. Checked only where no duplicates are [`Allowed`](crate::Allowed).
    PublishedOnce,
    /// Each record that was read has one answer. Checked only where no duplicates are [`Allowed`](crate::Allowed).
    OneOutputPerRecord,
    /// There are exactly the expected dead letters. Checked only where dead letters are [expected](crate::Allowed).
    NoUnexpectedDeadLetter,
}

impl Rule {
    /// The rules that hold however the services are configured and killed.
    pub const ALWAYS: [Self; 14] = [
        Self::EveryOrderEndsOrWaits,
        Self::OneOrderCreated,
        Self::OneStory,
        Self::PaidOnce,
        Self::RefundedIfOutOfStock,
        Self::ReservedOnce,
        Self::StockAddsUp,
        Self::EveryRecordHandled,
        Self::OneIdOneBody,
        Self::AnswerHasQuestion,
        Self::OffsetsWithinLog,
        Self::OutboxEmpty,
        Self::DeadLettersNameRecords,
        Self::DatabaseMatchesTopics,
    ];

    /// The name in the output of the command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EveryOrderEndsOrWaits => "every-order-ends-or-waits",
            Self::OneOrderCreated => "one-order-created",
            Self::OneStory => "one-story",
            Self::PaidOnce => "paid-once",
            Self::RefundedIfOutOfStock => "refunded-if-out-of-stock",
            Self::ReservedOnce => "reserved-once",
            Self::StockAddsUp => "stock-adds-up",
            Self::EveryRecordHandled => "every-record-handled",
            Self::OneIdOneBody => "one-id-one-body",
            Self::AnswerHasQuestion => "answer-has-question",
            Self::OffsetsWithinLog => "offsets-within-log",
            Self::OutboxEmpty => "outbox-empty",
            Self::DeadLettersNameRecords => "dead-letters-name-records",
            Self::DatabaseMatchesTopics => "database-matches-topics",
            Self::PublishedOnce => "published-once",
            Self::OneOutputPerRecord => "one-output-per-record",
            Self::NoUnexpectedDeadLetter => "no-unexpected-dead-letter",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
