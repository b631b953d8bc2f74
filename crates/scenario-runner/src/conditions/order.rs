//! Where an order stands.

use shared_events::OrderId;

use super::Seen;
use shared_events::http_api::{OrderStatus, OrderView};

/// An order that has come so far.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox wait order $ID --status CONFIRMED")]
pub struct OrderIs {
    /// The order
    pub id: OrderId,

    /// It has one of these statuses; without any: the saga has ended
    #[arg(long, value_enum, ignore_case = true, value_delimiter = ',')]
    pub status: Vec<OrderStatus>,

    /// It failed or was cancelled for this reason: `out_of_stock`, `unknown_product`, …
    #[arg(long)]
    pub reason: Option<String>,

    /// This event was told about it; may be given several times
    #[arg(long = "fact", value_name = "EVENT")]
    pub facts: Vec<String>,

    /// It waits for this event, or for one of several of which this is one
    #[arg(long, value_name = "EVENT")]
    pub waiting_for: Option<String>,
}

impl OrderIs {
    /// Whether the order, if there is one, is so.
    pub fn check(&self, order: Option<&OrderView>) -> Seen {
        let Some(order) = order else {
            return Seen::Not(format!("order-service knows no order {}", self.id));
        };
        let status = match self.status.as_slice() {
            [] => order.status.is_end(),
            wanted => wanted.contains(&order.status),
        };
        let reason = self.reason.is_none() || self.reason == order.failure_reason;
        let awaited = |event| order.waiting_for.iter().flatten().any(|one| one == event);
        let waiting = self.waiting_for.as_ref().is_none_or(awaited);
        let told = |wanted: &String| order.facts.iter().any(|fact| fact.event == *wanted);
        let missing: Vec<&str> = self
            .facts
            .iter()
            .filter(|wanted| !told(wanted))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            Seen::judge(status && reason && waiting, order)
        } else {
            Seen::Not(format!("{order}; not told: {}", missing.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(status: &[OrderStatus]) -> OrderIs {
        OrderIs {
            id: OrderId::now(),
            status: status.to_vec(),
            reason: None,
            facts: Vec::new(),
            waiting_for: None,
        }
    }

    fn order(status: OrderStatus, reason: Option<&str>) -> OrderView {
        OrderView {
            order_id: OrderId::now(),
            status,
            failure_reason: reason.map(str::to_owned),
            facts: Vec::new(),
            waiting_for: Some(vec!["InventoryReserved".to_owned()]),
            waiting_since: None,
        }
    }

    fn holds(seen: &Seen) -> bool {
        matches!(seen, Seen::Holds(_))
    }

    #[test]
    fn without_a_status_the_end_of_the_saga_is_meant() {
        let any = condition(&[]);
        assert!(!holds(&any.check(Some(&order(OrderStatus::Paid, None)))));
        assert!(holds(&any.check(Some(&order(OrderStatus::Cancelled, None)))));
        assert!(!holds(&any.check(None)));
    }

    #[test]
    fn every_part_of_the_condition_must_hold() {
        let mut wanted = condition(&[OrderStatus::Paid, OrderStatus::Cancelled]);
        assert!(holds(&wanted.check(Some(&order(OrderStatus::Paid, None)))));
        wanted.reason = Some("out_of_stock".to_owned());
        assert!(!holds(&wanted.check(Some(&order(
            OrderStatus::Cancelled,
            Some("unknown_product")
        )))));
        assert!(holds(
            &wanted.check(Some(&order(OrderStatus::Cancelled, Some("out_of_stock"))))
        ));
        wanted.waiting_for = Some("InventoryReserved".to_owned());
        assert!(holds(
            &wanted.check(Some(&order(OrderStatus::Cancelled, Some("out_of_stock"))))
        ));
        wanted.waiting_for = Some("PaymentRefunded".to_owned());
        assert!(!holds(
            &wanted.check(Some(&order(OrderStatus::Cancelled, Some("out_of_stock"))))
        ));
        let fact = OrderIs {
            facts: vec!["OrderCreated".to_owned()],
            ..condition(&[OrderStatus::Paid])
        };
        assert!(!holds(&fact.check(Some(&order(OrderStatus::Paid, None)))));
    }
}
