//! The status and the facts of an order.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use shared_events::http_api::{OrderStatus, OrderView};
use shared_events::{EventType, OrderId};
use stack::shop_client::describe_order;

use super::Observation;

/// The expected status and facts of an order.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox wait order $ID --status CONFIRMED")]
pub struct OrderCondition {
    /// The order
    pub id: OrderId,

    /// It has one of these statuses; without this option: the saga has ended
    #[arg(long, value_parser = status(), ignore_case = true, value_delimiter = ',')]
    pub status: Vec<OrderStatus>,

    /// It failed or was cancelled for this reason: `out_of_stock`, `unknown_product`, …
    #[arg(long)]
    pub reason: Option<String>,

    /// It has this fact; may be given several times
    #[arg(long = "fact", value_name = "EVENT", value_parser = event())]
    pub facts: Vec<EventType>,

    /// It waits for this event, or for one of several events that include this one
    #[arg(long, value_name = "EVENT", value_parser = event())]
    pub waiting_for: Option<EventType>,
}

fn status() -> impl TypedValueParser<Value = OrderStatus> {
    PossibleValuesParser::new(OrderStatus::ALL.map(OrderStatus::name))
        .try_map(|name| name.to_uppercase().parse::<OrderStatus>())
}

fn event() -> impl TypedValueParser<Value = EventType> {
    PossibleValuesParser::new(EventType::ALL.map(EventType::name))
        .try_map(|name| name.parse::<EventType>().map_err(|()| UnknownEvent))
}

#[derive(Debug, thiserror::Error)]
#[error("is not an event of the shop")]
struct UnknownEvent;

impl OrderCondition {
    /// Whether the order exists and is as expected.
    pub fn check(&self, order: Option<&OrderView>) -> Observation {
        let Some(order) = order else {
            return Observation::Not(format!("order-service has no order {}", self.id));
        };
        let status = match self.status.as_slice() {
            [] => order.status.is_final(),
            expected => expected.contains(&order.status),
        };
        let reason = self.reason.is_none() || self.reason == order.failure_reason;
        let awaited =
            |event: &EventType| order.waiting_for.iter().flatten().any(|one| one == event);
        let waiting = self.waiting_for.as_ref().is_none_or(awaited);
        let recorded =
            |expected: &EventType| order.facts.iter().any(|fact| fact.event == *expected);
        let missing: Vec<&str> = self
            .facts
            .iter()
            .filter(|expected| !recorded(expected))
            .map(|event| event.name())
            .collect();
        let found = describe_order(order);
        if missing.is_empty() {
            Observation::judge(status && reason && waiting, found)
        } else {
            Observation::Not(format!("{found}; missing facts: {}", missing.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(status: &[OrderStatus]) -> OrderCondition {
        OrderCondition {
            id: OrderId::now(),
            status: status.to_vec(),
            reason: None,
            facts: Vec::new(),
            waiting_for: None,
        }
    }

    fn order(status: OrderStatus, reason: Option<&str>) -> OrderView {
        let json = serde_json::json!({
            "orderId": OrderId::now(),
            "status": status,
            "failureReason": reason,
            "impossible": false,
            "facts": [],
            "waitingFor": ["InventoryReserved"],
        });
        serde_json::from_value(json).unwrap()
    }

    fn holds(seen: &Observation) -> bool {
        matches!(seen, Observation::Holds(_))
    }

    #[test]
    fn without_a_status_the_end_of_the_saga_is_meant() {
        let any = condition(&[]);
        assert!(!holds(&any.check(Some(&order(OrderStatus::Paid, None)))));
        assert!(holds(
            &any.check(Some(&order(OrderStatus::Cancelled, None)))
        ));
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
        assert!(holds(&wanted.check(Some(&order(
            OrderStatus::Cancelled,
            Some("out_of_stock")
        )))));
        wanted.waiting_for = Some(EventType::InventoryReserved);
        assert!(holds(&wanted.check(Some(&order(
            OrderStatus::Cancelled,
            Some("out_of_stock")
        )))));
        wanted.waiting_for = Some(EventType::PaymentRefunded);
        assert!(!holds(&wanted.check(Some(&order(
            OrderStatus::Cancelled,
            Some("out_of_stock")
        )))));
        let fact = OrderCondition {
            facts: vec![EventType::OrderCreated],
            ..condition(&[OrderStatus::Paid])
        };
        assert!(!holds(&fact.check(Some(&order(OrderStatus::Paid, None)))));
    }
}
