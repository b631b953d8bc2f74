//! The HTTP interface of payment-gateway, and the rule by which it decides.
//!
//! `POST /charges` and `POST /refunds` take a [`Transfer`]. Status 200 is a recorded decision, a
//! [`TransferAnswer`]: the same request gets the same answer again. Every other status, and no
//! answer at all, mean that nothing is known yet: the caller tries again.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Amount, OrderId, PaymentId};

/// The largest amount that is charged: 1000.00.
pub const CARD_LIMIT: Decimal = Decimal::ONE_THOUSAND;

/// The reason of a refusal: the amount is above [`CARD_LIMIT`].
pub const ABOVE_LIMIT: &str = "amount_above_limit";

/// The path of charges.
pub const CHARGES: &str = "charges";

/// The path of refunds.
pub const REFUNDS: &str = "refunds";

/// The longest delay of [`Behaviour`], milliseconds.
pub const DELAY_MS_MAX: u64 = 30_000;

/// A charge or a refund. The payment id makes it idempotent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// The payment.
    pub payment_id: PaymentId,
    /// The order that is paid.
    pub order_id: OrderId,
    /// The amount to charge or to refund.
    pub amount: Amount,
}

/// The decision about a [`Transfer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum TransferAnswer {
    /// The money was moved.
    Approved,
    /// The money will never be moved.
    Refused {
        /// Why, in one word: the `reason` of a `PaymentFailed`.
        reason: String,
    },
}

/// What payment-gateway does wrong on purpose. By default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// The share of charges and refunds that fail with status 503, 0–100 %. Half of them fail after
    /// the decision was recorded, so that a caller cannot know whether the money was moved.
    pub fail_percent: u32,
    /// How long each charge and refund waits before it is decided, milliseconds.
    pub delay_ms: u32,
    /// Charges and refunds get no answer until this ends.
    pub away: bool,
}

/// The decision about a charge of this amount: a function of the amount alone.
pub fn decide(amount: Amount) -> TransferAnswer {
    match amount.as_decimal() > CARD_LIMIT {
        true => TransferAnswer::Refused {
            reason: ABOVE_LIMIT.to_owned(),
        },
        false => TransferAnswer::Approved,
    }
}
