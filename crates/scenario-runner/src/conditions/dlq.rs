//! The records of a dead-letter topic.

use kafka_admin::dead_letters::DeadLetter;
use shared_events::{OrderId, Service, Topic};
use stack::terminal::counted;

use super::{Observation, at_most};

/// The expected number of dead letters in a topic.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait dlq inventory.dlq --order $ID\n  ./sandbox expect dlq inventory.dlq --order $ID --count 1\n  ./sandbox expect dlq inventory.dlq --waiting --count 0"
)]
pub struct DeadLetterCount {
    /// The dead-letter topic: orders.dlq, payments.dlq or inventory.dlq
    #[arg(value_parser = dead_letter_topic)]
    pub topic: Topic,

    /// Only those of this order
    #[arg(long)]
    pub order: Option<OrderId>,

    /// Only those that were neither replayed nor discarded
    #[arg(long)]
    pub waiting: bool,

    /// Exactly this number; without it, at least one
    #[arg(long, value_parser = at_most(1_000_000))]
    pub count: Option<usize>,
}

/// A dead-letter topic, by its name without the stack's prefix.
pub fn dead_letter_topic(name: &str) -> Result<Topic, String> {
    let mut known = Service::ALL.into_iter().map(Service::dead_letter_topic);
    let found = known.find(|topic| topic.name() == name);
    found.ok_or_else(|| "must be orders.dlq, payments.dlq or inventory.dlq".to_owned())
}

/// Whether the dead letter belongs to this order: the key of its record is the order id.
pub fn is_about(dead_letter: &DeadLetter, order: OrderId) -> bool {
    dead_letter.record.key.as_deref() == Some(order.to_string().as_bytes())
}

impl DeadLetterCount {
    /// Whether the number is as expected.
    pub fn check(&self, dead_letters: &[DeadLetter]) -> Observation {
        let meant: Vec<&DeadLetter> = dead_letters
            .iter()
            .filter(|dead_letter| self.order.is_none_or(|order| is_about(dead_letter, order)))
            .filter(|dead_letter| !self.waiting || dead_letter.is_waiting())
            .collect();
        let dead_letters = counted(meant.len(), "dead letter");
        let mut seen = format!("{dead_letters} in {}", self.topic);
        if let Some(order) = self.order {
            seen += &format!(" of order {order}");
        }
        if let Some(headers) = meant
            .last()
            .and_then(|dead_letter| dead_letter.headers.as_ref().ok())
        {
            seen += &format!(
                "; the last: {}: {}",
                headers.error_class, headers.error_message
            );
        }
        let holds = self
            .count
            .map_or(!meant.is_empty(), |count| count == meant.len());
        Observation::judge(holds, seen)
    }
}

#[cfg(test)]
mod tests {
    use kafka_admin::dead_letters::{DeadLetterState, ReplayDecision};
    use kafka_admin::records::Record;

    use super::*;

    fn dead_letter(key: &str, state: DeadLetterState) -> DeadLetter {
        DeadLetter {
            record: Record {
                topic: "inventory.dlq".to_owned(),
                partition: 0,
                offset: 0,
                timestamp_ms: None,
                key: Some(key.as_bytes().to_vec()),
                headers: Some(Vec::new()),
                value: None,
            },
            headers: Err("none".to_owned()),
            state,
        }
    }

    #[test]
    fn dead_letters_are_counted_by_order_and_by_replay_state() {
        let order = OrderId::now();
        let refused = ReplayDecision::Refuse("test".to_owned());
        let dead_letters = [
            dead_letter(&order.to_string(), DeadLetterState::Replayed),
            dead_letter("another", DeadLetterState::Waiting(refused)),
        ];
        let holds = |order, waiting, count| {
            let wanted = DeadLetterCount {
                topic: Topic::InventoryDlq,
                order,
                waiting,
                count,
            };
            matches!(wanted.check(&dead_letters), Observation::Holds(_))
        };
        assert!(holds(None, false, Some(2)) && !holds(None, false, Some(1)));
        assert!(holds(Some(order), false, None) && holds(Some(order), false, Some(1)));
        assert!(!holds(Some(order), true, None) && holds(Some(order), true, Some(0)));
        assert!(!holds(Some(OrderId::now()), false, None));
    }

    #[test]
    fn a_topic_of_events_is_no_dead_letter_topic() {
        assert_eq!(dead_letter_topic("inventory.dlq"), Ok(Topic::InventoryDlq));
        assert!(dead_letter_topic("inventory").is_err());
    }
}
