//! How a saga ended, which facts ended it, and which facts no saga can produce together.

use chrono::TimeDelta;
use shared_events::EventType;
use shared_events::http_api::OrderStatus;

use super::Facts;

/// The events of every complete saga. The known facts of an order are always a subset of one of
/// these sets, in any order, because events overtake one another.
pub(super) const VALID_EVENT_SETS: [&[EventType]; 3] = {
    use EventType::{
        InventoryOutOfStock, InventoryReserved, OrderCreated, PaymentFailed, PaymentRefunded,
        PaymentSucceeded,
    };
    [
        &[OrderCreated, PaymentSucceeded, InventoryReserved],
        &[
            OrderCreated,
            PaymentSucceeded,
            InventoryOutOfStock,
            PaymentRefunded,
        ],
        &[OrderCreated, PaymentFailed],
    ]
};

/// The end of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SagaOutcome {
    /// `Confirmed`, `Cancelled` or `Failed`.
    pub status: OrderStatus,
    /// From `OrderCreated` to the fact that ended the saga. The two times come from two services'
    /// clocks, so it may be negative.
    pub duration: TimeDelta,
}

impl Facts {
    /// Whether no saga can produce these facts together, such as reserved *and* out of stock. Then
    /// some service has a fault, which a metric counts; the status is still [`Facts::status`].
    pub fn is_impossible(&self) -> bool {
        let is_subset =
            |events: &[EventType]| self.iter().all(|(event, _)| events.contains(&event));
        !VALID_EVENT_SETS.into_iter().any(is_subset)
    }

    /// How the saga ended; `None` while it runs, and while `OrderCreated` is missing, since its
    /// time starts the duration.
    pub fn outcome(&self) -> Option<SagaOutcome> {
        let status = self.status();
        let end = match status {
            OrderStatus::Pending | OrderStatus::Paid | OrderStatus::Refunding => None,
            OrderStatus::Confirmed => self.reserved,
            OrderStatus::Cancelled => self.refunded,
            OrderStatus::Failed => self.payment_failed,
        };
        let duration = end? - self.created?;
        Some(SagaOutcome { status, duration })
    }

    /// The outcome, if these facts have one only because of `added`. `before` are the facts that
    /// were known before `added` was merged. Of all updates of an order exactly one completes its
    /// saga, so counting this counts each saga once.
    pub fn completed_by(&self, added: &Self, before: &Self) -> Option<SagaOutcome> {
        let mut without_added = Self::default();
        for (event, at) in self.iter() {
            let is_new = added.time(event).is_some() && before.time(event).is_none();
            if !is_new {
                *without_added.time_mut(event) = Some(at);
            }
        }
        self.outcome().filter(|_| without_added.outcome().is_none())
    }
}
