//! The rules of payment: which event follows from which.
//!
//! Everything in an event of this service comes from the event it responds to, including its time,
//! and from the decision about the payment, which never changes. So a repeated event gets the same
//! response, byte for byte, from any instance. That is why this service needs no database.

use shared_events::gateway_api::{Transfer, TransferAnswer};
use shared_events::{
    Event, InventoryOutOfStock, OrderCreated, PaymentFailed, PaymentId, PaymentRefunded,
    PaymentSucceeded,
};

/// What an event asks this service to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Charge the order.
    Charge(OrderCreated),
    /// Give the money back. The event carries payment and amount, so this service need not have
    /// stored them.
    Refund(InventoryOutOfStock),
}

impl Task {
    /// The money to move.
    pub fn transfer(&self) -> Transfer {
        match self {
            Self::Charge(order) => Transfer {
                payment_id: PaymentId::of(order.order_id),
                order_id: order.order_id,
                amount: order.amount,
            },
            Self::Refund(shortage) => Transfer {
                payment_id: shortage.payment_id,
                order_id: shortage.order_id,
                amount: shortage.amount,
            },
        }
    }
}

/// What an event asks for, if anything.
pub fn task(event: Event) -> Option<Task> {
    match event {
        Event::OrderCreated(order) => Some(Task::Charge(order)),
        Event::InventoryOutOfStock(shortage) => Some(Task::Refund(shortage)),
        Event::PaymentSucceeded(_)
        | Event::PaymentFailed(_)
        | Event::PaymentRefunded(_)
        | Event::InventoryReserved(_) => None,
    }
}

/// The event that follows from a task and the decision about it. A refund has one decision only.
pub fn response(task: &Task, answer: TransferAnswer) -> Event {
    match (task, answer) {
        (Task::Charge(order), TransferAnswer::Approved) => {
            Event::PaymentSucceeded(PaymentSucceeded {
                order_id: order.order_id,
                payment_id: PaymentId::of(order.order_id),
                product_id: order.product_id.clone(),
                quantity: order.quantity,
                amount: order.amount,
                occurred_at: order.occurred_at,
            })
        }
        (Task::Charge(order), TransferAnswer::Refused { reason }) => {
            Event::PaymentFailed(PaymentFailed {
                order_id: order.order_id,
                amount: order.amount,
                reason,
                occurred_at: order.occurred_at,
            })
        }
        (Task::Refund(shortage), _) => Event::PaymentRefunded(PaymentRefunded {
            order_id: shortage.order_id,
            payment_id: shortage.payment_id,
            amount: shortage.amount,
            reason: shortage.reason.clone(),
            occurred_at: shortage.occurred_at,
        }),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use rust_decimal::Decimal;
    use shared_events::gateway_api::decide;
    use shared_events::{Amount, InventoryReserved, OrderId, Quantity};

    use super::*;

    /// The response without a gateway.
    fn respond_to(event: Event) -> Option<Event> {
        let task = task(event)?;
        let answer = match &task {
            Task::Charge(order) => decide(order.amount),
            Task::Refund(_) => TransferAnswer::Approved,
        };
        Some(response(&task, answer))
    }

    fn order(amount: &str) -> OrderCreated {
        OrderCreated {
            order_id: OrderId::now(),
            customer_id: "cust_1".parse().unwrap(),
            product_id: "prod_123".parse().unwrap(),
            quantity: Quantity::new(2).unwrap(),
            amount: amount.parse().unwrap(),
            occurred_at: "2026-01-02T03:04:05.678901Z".parse().unwrap(),
        }
    }

    #[test]
    fn an_amount_up_to_the_limit_is_charged() {
        for amount in ["0.01", "999.99", "1000", "1000.00"] {
            let order = order(amount);
            let paid = PaymentSucceeded {
                order_id: order.order_id,
                payment_id: PaymentId::of(order.order_id),
                product_id: order.product_id.clone(),
                quantity: order.quantity,
                amount: order.amount,
                occurred_at: order.occurred_at,
            };
            assert_eq!(respond_to(order.into()), Some(paid.into()), "{amount}");
        }
    }

    #[test]
    fn an_amount_above_the_limit_is_declined() {
        for amount in ["1000.01", "1500.00", "1000000"] {
            let order = order(amount);
            let declined = PaymentFailed {
                order_id: order.order_id,
                amount: order.amount,
                reason: "amount_above_limit".to_owned(),
                occurred_at: order.occurred_at,
            };
            assert_eq!(respond_to(order.into()), Some(declined.into()), "{amount}");
        }
    }

    #[test]
    fn an_out_of_stock_order_is_refunded_with_its_reason() {
        let order_id = OrderId::now();
        let amount: Amount = "250.00".parse().unwrap();
        let occurred_at: DateTime<Utc> = "2026-01-02T03:04:06Z".parse().unwrap();
        let shortage = InventoryOutOfStock {
            order_id,
            payment_id: PaymentId::of(order_id),
            product_id: "prod_123".parse().unwrap(),
            quantity: Quantity::new(10).unwrap(),
            amount,
            reason: "out_of_stock".to_owned(),
            occurred_at,
        };
        let refunded = PaymentRefunded {
            order_id,
            payment_id: PaymentId::of(order_id),
            amount,
            reason: "out_of_stock".to_owned(),
            occurred_at,
        };
        assert_eq!(respond_to(shortage.into()), Some(refunded.into()));
    }

    #[test]
    fn events_that_move_no_money_get_no_response() {
        let reserved = InventoryReserved {
            order_id: OrderId::now(),
            product_id: "prod_123".parse().unwrap(),
            quantity: Quantity::new(1).unwrap(),
            occurred_at: "2026-01-02T03:04:06Z".parse().unwrap(),
        };
        assert_eq!(respond_to(reserved.into()), None);
        let own_event = respond_to(order("10.00").into()).unwrap();
        assert_eq!(respond_to(own_event), None);
    }

    proptest::proptest! {
        #[test]
        fn an_order_is_charged_in_full_or_declined_in_full(cents in 1i64..=100_000_000) {
            let amount = Amount::new(Decimal::new(cents, 2)).unwrap();
            let order = OrderCreated { amount, ..order("1.00") };
            let charged = match respond_to(order.into()).unwrap() {
                Event::PaymentSucceeded(paid) => (true, paid.amount),
                Event::PaymentFailed(declined) => (false, declined.amount),
                other => panic!("{other:?}"),
            };
            proptest::prop_assert_eq!(charged, (cents <= 100_000, amount));
        }
    }
}
