//! The one table of topics, groups and services.

use std::fmt;
use std::str::FromStr;

use crate::OutOfBounds;

/// The topics of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// What order-service tells.
    Orders,
    /// What payment-service tells.
    Payments,
    /// What inventory-service tells.
    Inventory,
    /// What order-service set aside, whatever topic it came from.
    OrdersDlq,
    /// What payment-service set aside, whatever topic it came from.
    PaymentsDlq,
    /// What inventory-service set aside, whatever topic it came from.
    InventoryDlq,
    /// What every member of a service's group is told, one record a service. Compacted: the last record of a key is what holds.
    Controls,
}

/// How a topic is made. Every value is per partition, as Kafka counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSettings {
    /// Partitions unless asked otherwise.
    pub partitions: i32,
    /// Kafka's own names and values, as `kafka-configs` shows them.
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

/// A dead letter is its record plus headers that say why, so it must be allowed to be larger than the largest event:
/// otherwise a poison record at the limit would block its partition for ever.
const DEAD_LETTERS: TopicSettings = TopicSettings {
    partitions: 3,
    config: &[
        ("retention.ms", "86400000"),
        ("retention.bytes", "1073741824"),
        ("segment.bytes", "67108864"),
        ("max.message.bytes", "2097152"),
    ],
};

/// Compaction keeps the last record of each key for ever, so a member that starts tomorrow still finds it. One partition: one
/// order for all. Segments are small and compacted soon, so that a reader at start has little to read.
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
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Orders,
        Self::Payments,
        Self::Inventory,
        Self::OrdersDlq,
        Self::PaymentsDlq,
        Self::InventoryDlq,
        Self::Controls,
    ];

    /// The name, without a stack's prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Inventory => "inventory",
            Self::OrdersDlq => "orders.dlq",
            Self::PaymentsDlq => "payments.dlq",
            Self::InventoryDlq => "inventory.dlq",
            Self::Controls => "sandbox.controls",
        }
    }

    /// How it is made.
    pub const fn settings(self) -> TopicSettings {
        match self {
            Self::Orders | Self::Payments | Self::Inventory => EVENTS,
            Self::OrdersDlq | Self::PaymentsDlq | Self::InventoryDlq => DEAD_LETTERS,
            Self::Controls => CONTROLS,
        }
    }
}

/// The services of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// order-service
    Order,
    /// payment-service
    Payment,
    /// inventory-service
    Inventory,
}

impl Service {
    /// All of them, in the order in which a saga meets them.
    pub const ALL: [Self; 3] = [Self::Order, Self::Payment, Self::Inventory];

    /// The name of the service and of its binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order-service",
            Self::Payment => "payment-service",
            Self::Inventory => "inventory-service",
        }
    }

    /// The consumer group, without a stack's prefix.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Order => "order-service-group",
            Self::Payment => "payment-service-group",
            Self::Inventory => "inventory-service-group",
        }
    }

    /// The topics it reads.
    pub const fn consumes(self) -> &'static [Topic] {
        match self {
            Self::Order => &[Topic::Orders, Topic::Payments, Topic::Inventory],
            Self::Payment => &[Topic::Orders, Topic::Inventory],
            Self::Inventory => &[Topic::Payments],
        }
    }

    /// Where it sets poison aside, whatever topic that came from.
    pub const fn dead_letters(self) -> Topic {
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
            "must be orders, payments, inventory, orders.dlq, payments.dlq, inventory.dlq or sandbox.controls",
        ))
    }
}

/// What stands before the names of topics, groups and transactional ids, so that a second stack can share a broker. Empty by
/// default; at most 64 of `A-Z a-z 0-9 _ - .`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamePrefix(String);

impl NamePrefix {
    /// The name of a topic in this stack.
    pub fn topic(&self, topic: Topic) -> String {
        format!("{}{topic}", self.0)
    }

    /// The name of a service's consumer group in this stack.
    pub fn group(&self, service: Service) -> String {
        format!("{}{}", self.0, service.group())
    }

    /// Any other name in this stack.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }

    /// Which topic of this stack has this name.
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
