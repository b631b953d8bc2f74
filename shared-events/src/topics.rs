//! The one table of topics, consumer groups and services.
//!
//! | service | publishes to | consumes | sends dead letters to |
//! |---|---|---|---|
//! | order-service | `orders` | `orders`, `payments`, `inventory` | `orders.dlq` |
//! | payment-service | `payments` | `orders`, `inventory`, `payments.retry` | `payments.dlq` |
//! | inventory-service | `inventory` | `payments` | `inventory.dlq` |
//!
//! With `RETRY=topic`, payment-service also publishes to `payments.retry`: records of the other
//! topics that it consumes, which it tries again later.

use std::fmt;
use std::str::FromStr;

use crate::OutOfBounds;

/// A topic of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Events of order-service.
    Orders,
    /// Events of payment-service.
    Payments,
    /// Events of inventory-service.
    Inventory,
    /// Records that payment-service tries again later (`RETRY=topic`).
    PaymentsRetry,
    /// Dead letters of order-service, from every topic that it consumes.
    OrdersDlq,
    /// Dead letters of payment-service, from every topic that it consumes.
    PaymentsDlq,
    /// Dead letters of inventory-service, from every topic that it consumes.
    InventoryDlq,
    /// [`GroupControls`](crate::GroupControls): one record for each service. Compacted.
    Controls,
}

/// The settings with which a topic is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSettings {
    /// The default number of partitions.
    pub partitions: i32,
    /// Kafka's names and values, as `kafka-configs` shows them. Kafka applies sizes to each
    /// partition.
    pub config: &'static [(&'static str, &'static str)],
}

const EVENTS: TopicSettings = TopicSettings {
    partitions: 3,
    config: &[
        ("retention.ms", "86400000"),
        ("retention.bytes", "1073741824"),
        ("segment.bytes", "67108864"),
        ("max.message.bytes", "1048576"),
    ],
};

/// A dead letter is a record with additional headers, and so is a record of `payments.retry`. Its
/// limit is therefore above that of an event. Otherwise a record of the maximum size would block its
/// partition for ever.
const EXTENDED: TopicSettings = TopicSettings {
    partitions: 3,
    config: &[
        ("retention.ms", "86400000"),
        ("retention.bytes", "1073741824"),
        ("segment.bytes", "67108864"),
        ("max.message.bytes", "2097152"),
    ],
};

/// Compaction keeps the last record of each key for ever, so a member finds the settings whenever
/// it starts. One partition keeps all records in one order. Segments are small and compacted soon,
/// since a member reads the whole topic when it starts.
const CONTROLS: TopicSettings = TopicSettings {
    partitions: 1,
    config: &[
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("segment.ms", "3600000"),
        ("max.message.bytes", "1048576"),
    ],
};

impl Topic {
    /// All topics.
    pub const ALL: [Self; 8] = [
        Self::Orders,
        Self::Payments,
        Self::Inventory,
        Self::PaymentsRetry,
        Self::OrdersDlq,
        Self::PaymentsDlq,
        Self::InventoryDlq,
        Self::Controls,
    ];

    /// The name without the prefix of a stack, see [`NamePrefix`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Inventory => "inventory",
            Self::PaymentsRetry => "payments.retry",
            Self::OrdersDlq => "orders.dlq",
            Self::PaymentsDlq => "payments.dlq",
            Self::InventoryDlq => "inventory.dlq",
            Self::Controls => "sandbox.controls",
        }
    }

    /// The settings with which the topic is created.
    pub const fn settings(self) -> TopicSettings {
        match self {
            Self::Orders | Self::Payments | Self::Inventory => EVENTS,
            Self::PaymentsRetry | Self::OrdersDlq | Self::PaymentsDlq | Self::InventoryDlq => {
                EXTENDED
            }
            Self::Controls => CONTROLS,
        }
    }
}

/// A service of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Accepts orders and shows their status.
    Order,
    /// Charges and refunds payments.
    Payment,
    /// Reserves stock.
    Inventory,
}

impl Service {
    /// All services, in the order in which a saga reaches them.
    pub const ALL: [Self; 3] = [Self::Order, Self::Payment, Self::Inventory];

    /// The name of the service, of its binary, and of its key in `sandbox.controls`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order-service",
            Self::Payment => "payment-service",
            Self::Inventory => "inventory-service",
        }
    }

    /// The consumer group without the prefix of a stack, see [`NamePrefix`].
    pub const fn group(self) -> &'static str {
        match self {
            Self::Order => "order-service-group",
            Self::Payment => "payment-service-group",
            Self::Inventory => "inventory-service-group",
        }
    }

    /// The topics that the service consumes.
    pub const fn consumes(self) -> &'static [Topic] {
        match self {
            Self::Order => &[Topic::Orders, Topic::Payments, Topic::Inventory],
            Self::Payment => &[Topic::Orders, Topic::Inventory, Topic::PaymentsRetry],
            Self::Inventory => &[Topic::Payments],
        }
    }

    /// The topic of the service's records that are tried again later, for a service that has one.
    pub const fn retry_topic(self) -> Option<Topic> {
        match self {
            Self::Payment => Some(Topic::PaymentsRetry),
            Self::Order | Self::Inventory => None,
        }
    }

    /// The topic that the service sends its dead letters to.
    pub const fn dead_letter_topic(self) -> Topic {
        match self {
            Self::Order => Topic::OrdersDlq,
            Self::Payment => Topic::PaymentsDlq,
            Self::Inventory => Topic::InventoryDlq,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Service {
    type Err = OutOfBounds;

    fn from_str(name: &str) -> Result<Self, OutOfBounds> {
        let known = Self::ALL.into_iter().find(|service| service.name() == name);
        known.ok_or(OutOfBounds(
            "must be order-service, payment-service or inventory-service",
        ))
    }
}

impl FromStr for Topic {
    type Err = OutOfBounds;

    fn from_str(name: &str) -> Result<Self, OutOfBounds> {
        let known = Self::ALL.into_iter().find(|topic| topic.name() == name);
        known.ok_or(OutOfBounds(
            "must be orders, payments, inventory, payments.retry, orders.dlq, payments.dlq, inventory.dlq or sandbox.controls",
        ))
    }
}

/// The prefix of the names of topics, groups and transactional ids on the broker. Two stacks with
/// different prefixes can share a broker. Empty by default; at most 64 of `A-Z a-z 0-9 _ - .`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamePrefix(String);

impl NamePrefix {
    /// The full name of a topic.
    pub fn topic(&self, topic: Topic) -> String {
        format!("{}{topic}", self.0)
    }

    /// The full name of a service's consumer group.
    pub fn group(&self, service: Service) -> String {
        format!("{}{}", self.0, service.group())
    }

    /// The full name of the group that commits how far a dead-letter topic was replayed. Also the
    /// transactional id of the replay.
    pub fn replay_group(&self, topic: Topic) -> String {
        self.name(&format!("dlq-replay-{topic}"))
    }

    /// Any other name, with the prefix.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }

    /// The topic with this full name; `None` if the name is not one of this stack.
    pub fn topic_of(&self, name: &str) -> Option<Topic> {
        name.strip_prefix(&self.0)?.parse().ok()
    }
}

impl FromStr for NamePrefix {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if text.len() <= 64 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(OutOfBounds("must be at most 64 letters, digits, _, - or ."))
        }
    }
}

impl fmt::Display for NamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_and_service_is_found_by_its_name() {
        for topic in Topic::ALL {
            assert_eq!(topic.name().parse(), Ok(topic));
        }
        for service in Service::ALL {
            assert_eq!(service.name().parse(), Ok(service));
        }
    }

    #[test]
    fn the_error_for_an_unknown_name_lists_all_names() {
        let topics = "unknown".parse::<Topic>().unwrap_err().to_string();
        assert!(Topic::ALL.iter().all(|one| topics.contains(one.name())));
        let services = "unknown".parse::<Service>().unwrap_err().to_string();
        assert!(Service::ALL.iter().all(|one| services.contains(one.name())));
    }

    #[test]
    fn a_topic_of_another_stack_is_not_found() {
        let prefix: NamePrefix = "second.".parse().unwrap();
        let name = prefix.topic(Topic::OrdersDlq);
        assert_eq!(name, "second.orders.dlq");
        assert_eq!(prefix.topic_of(&name), Some(Topic::OrdersDlq));
        assert_eq!(prefix.topic_of("orders.dlq"), None);
        assert_eq!(NamePrefix::default().topic_of(&name), None);
    }
}
