//! Which payments were charged and refunded. In memory: a restart forgets them, and decides the same
//! again.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use shared_events::PaymentId;
use shared_events::gateway_api::{Transfer, TransferAnswer, decide};

/// The number of requests by what became of them, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Payments whose money was taken.
    pub charged: u64,
    /// Payments that were refused.
    pub refused: u64,
    /// Payments whose money was given back.
    pub refunded: u64,
    /// Requests that were decided before, and got the same answer.
    pub repeated: u64,
}

/// The same payment id was used before for another order or amount.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict;

#[derive(Debug)]
struct Payment {
    transfer: Transfer,
    /// `None` if the charge is not known, as after a restart.
    charge: Option<TransferAnswer>,
    is_refunded: bool,
}

/// The decisions of the gateway.
#[derive(Debug)]
pub struct Ledger {
    payments: HashMap<PaymentId, Payment>,
    /// The oldest payment first.
    order: VecDeque<PaymentId>,
    limit: usize,
    totals: Totals,
}

impl Ledger {
    /// An empty ledger that remembers this number of payments.
    pub fn new(limit: usize) -> Self {
        Self {
            payments: HashMap::new(),
            order: VecDeque::new(),
            limit,
            totals: Totals::default(),
        }
    }

    /// Charges a payment once. The same request again gets the same answer.
    pub fn charge(&mut self, transfer: Transfer) -> Result<TransferAnswer, Conflict> {
        let payment = self.payment(transfer)?;
        if let Some(answer) = payment.charge.clone() {
            self.totals.repeated += 1;
            return Ok(answer);
        }
        let answer = decide(transfer.amount);
        payment.charge = Some(answer.clone());
        match answer {
            TransferAnswer::Approved => self.totals.charged += 1,
            TransferAnswer::Refused { .. } => self.totals.refused += 1,
        }
        Ok(answer)
    }

    /// Refunds a payment once, also one whose charge was forgotten. The same request again gets the
    /// same answer.
    pub fn refund(&mut self, transfer: Transfer) -> Result<TransferAnswer, Conflict> {
        let payment = self.payment(transfer)?;
        let repeated = std::mem::replace(&mut payment.is_refunded, true);
        match repeated {
            true => self.totals.repeated += 1,
            false => self.totals.refunded += 1,
        }
        Ok(TransferAnswer::Approved)
    }

    /// The totals since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn payment(&mut self, transfer: Transfer) -> Result<&mut Payment, Conflict> {
        let id = transfer.payment_id;
        if !self.payments.contains_key(&id) {
            self.order.push_back(id);
            if self.order.len() > self.limit
                && let Some(oldest) = self.order.pop_front()
            {
                self.payments.remove(&oldest);
            }
        }
        let payment = self.payments.entry(id).or_insert(Payment {
            transfer,
            charge: None,
            is_refunded: false,
        });
        match payment.transfer == transfer {
            true => Ok(payment),
            false => Err(Conflict),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared_events::OrderId;

    use super::*;

    fn transfer(amount: &str) -> Transfer {
        let order_id = OrderId::now();
        Transfer {
            payment_id: PaymentId::of(order_id),
            order_id,
            amount: amount.parse().unwrap(),
        }
    }

    #[test]
    fn a_payment_is_charged_and_refunded_once_however_often_it_is_asked() {
        let mut ledger = Ledger::new(9);
        let (paid, refused) = (transfer("1000.00"), transfer("1000.01"));
        for _ in 0..3 {
            assert_eq!(ledger.charge(paid), Ok(TransferAnswer::Approved));
            let reason = "amount_above_limit".to_owned();
            assert_eq!(
                ledger.charge(refused),
                Ok(TransferAnswer::Refused { reason })
            );
            assert_eq!(ledger.refund(paid), Ok(TransferAnswer::Approved));
        }
        let totals = Totals {
            charged: 1,
            refused: 1,
            refunded: 1,
            repeated: 6,
        };
        assert_eq!(ledger.totals(), totals);
    }

    #[test]
    fn another_amount_for_the_same_payment_is_a_conflict() {
        let mut ledger = Ledger::new(9);
        let paid = transfer("10.00");
        ledger.charge(paid).unwrap();
        let other = Transfer {
            amount: "10.01".parse().unwrap(),
            ..paid
        };
        assert_eq!(ledger.charge(other), Err(Conflict));
        assert_eq!(ledger.refund(other), Err(Conflict));
        assert_eq!(ledger.totals().charged, 1);
    }

    #[test]
    fn no_more_payments_are_remembered_than_the_limit() {
        let mut ledger = Ledger::new(2);
        let all = [transfer("1.00"), transfer("2.00"), transfer("3.00")];
        for one in all {
            ledger.charge(one).unwrap();
        }
        assert_eq!((ledger.payments.len(), ledger.order.len()), (2, 2));
        ledger.charge(all[2]).unwrap();
        assert_eq!(ledger.totals().repeated, 1, "the newest is remembered");
    }
}
