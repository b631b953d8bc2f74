//! What is in a dead-letter topic.

use kafka_admin::dead_letters::DeadLetter;
use shared_events::{OrderId, Service, Topic};

use super::{Seen, at_most};

/// Dead letters of a topic, so many.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait dlq inventory.dlq --order $ID\n  ./sandbox expect dlq inventory.dlq --order $ID --count 1\n  ./sandbox expect dlq inventory.dlq --waiting --count 0"
)]
pub struct Letters {
    /// The dead-letter topic: orders.dlq, payments.dlq or inventory.dlq
    #[arg(value_parser = dead_letter_topic)]
    pub topic: Topic,

    /// Only those of this order
    #[arg(long)]
    pub order: Option<OrderId>,

    /// Only those that no replay has passed yet
    #[arg(long)]
    pub waiting: bool,

    /// Exactly so many; without it, one at least
    #[arg(long, value_parser = at_most(1_000_000))]
    pub count: Option<usize>,
}

/// A dead-letter topic, by its name without the stack's prefix.
pub fn dead_letter_topic(name: &str) -> Result<Topic, String> {
    let mut known = Service::ALL.into_iter().map(Service::dead_letter_topic);
    let found = known.find(|topic| topic.name() == name);
    found.ok_or_else(|| "must be orders.dlq, payments.dlq or inventory.dlq".to_owned())
}

/// Whether the letter is about this order: the key of its record is the order's id.
pub fn is_about(letter: &DeadLetter, order: OrderId) -> bool {
    letter.record.key.as_deref() == Some(order.to_string().as_bytes())
}

impl Letters {
    /// Whether there are so many.
    pub fn check(&self, letters: &[DeadLetter]) -> Seen {
        let meant: Vec<&DeadLetter> = letters
            .iter()
            .filter(|letter| self.order.is_none_or(|order| is_about(letter, order)))
            .filter(|letter| !(self.waiting && letter.processed))
            .collect();
        let letters = if meant.len() == 1 {
            "letter"
        } else {
            "letters"
        };
        let mut seen = format!("{} {letters} in {}", meant.len(), self.topic);
        if let Some(order) = self.order {
            seen += &format!(" of order {order}");
        }
        if let Some(headers) = meant.last().and_then(|letter| letter.headers.as_ref().ok()) {
            seen += &format!(
                "; the last: {}: {}",
                headers.error_class, headers.error_message
            );
        }
        let holds = self
            .count
            .map_or(!meant.is_empty(), |count| count == meant.len());
        Seen::judge(holds, seen)
    }
}

#[cfg(test)]
mod tests {
    use kafka_admin::dead_letters::ReplayDecision;
    use kafka_admin::records::Record;

    use super::*;

    fn letter(key: &str, passed: bool) -> DeadLetter {
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
            processed: passed,
            decision: ReplayDecision::Refuse("test".to_owned()),
        }
    }

    #[test]
    fn letters_are_counted_by_order_and_by_what_is_left_of_them() {
        let order = OrderId::now();
        let letters = [letter(&order.to_string(), true), letter("another", false)];
        let holds = |order, waiting, count| {
            let wanted = Letters {
                topic: Topic::InventoryDlq,
                order,
                waiting,
                count,
            };
            matches!(wanted.check(&letters), Seen::Holds(_))
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
