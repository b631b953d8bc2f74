//! How a saga ended, and which telling of facts it was that ended it.

use chrono::TimeDelta;

use super::{Facts, Status};

/// The end of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// `Confirmed`, `Cancelled` or `Failed`.
    pub status: Status,
    /// From the order's acceptance to the fact that ended it, as both were told. Two services' clocks: it may be below 0.
    pub after: TimeDelta,
}

impl Facts {
    /// How the saga ended; `None` before, and as long as the acceptance is not known.
    pub fn ended(&self) -> Option<Ended> {
        let status = self.status();
        let at = match status {
            Status::Pending | Status::Paid | Status::Refunding => None,
            Status::Confirmed => self.reserved,
            Status::Cancelled => self.refunded,
            Status::Failed => self.payment_failed,
        };
        let after = at? - self.created?;
        Some(Ended { status, after })
    }

    /// The end, if it was `told` that made it known: all that is known now would not tell of it without those facts of `told`
    /// that were not known `before`. Of all tellings of the same facts it is one.
    pub fn ended_by(&self, told: &Self, before: &Self) -> Option<Ended> {
        let mut without = Self::default();
        for (event, at) in self.told() {
            let is_new = told.at(event).is_some() && before.at(event).is_none();
            if !is_new {
                *without.slot(event) = Some(at);
            }
        }
        self.ended().filter(|_| without.ended().is_none())
    }
}
