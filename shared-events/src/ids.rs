//! Ids. Each constructor checks the bounds, so every value is a valid id.
//!
//! Event and payment ids are functions of the order id (UUIDv5). A repeated event or payment is
//! therefore recognised by its id, and no service keeps a list of the ids that it has seen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

use crate::{EventType, OutOfBounds};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The form of this id, in words.
            pub const LIMIT: OutOfBounds = OutOfBounds("must be a UUID in lower case with hyphens");

            /// The UUID.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = OutOfBounds;

            /// Accepts the canonical form only. Two spellings of one id would be two record keys,
            /// on two partitions.
            fn from_str(text: &str) -> Result<Self, OutOfBounds> {
                let uuid = Uuid::try_parse(text).map_err(|_| Self::LIMIT)?;
                let canonical = uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
                if canonical { Ok(Self(uuid)) } else { Err(Self::LIMIT) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

uuid_id! {
    /// An order. Also the key of each record about the order. New ids are UUIDv7 (RFC 9562), so
    /// they sort by time.
    OrderId
}
uuid_id! {
    /// An event: a function of the order and of the event type.
    EventId
}
uuid_id! {
    /// A payment: a function of the order, since an order is paid at most once.
    PaymentId
}

impl OrderId {
    /// A new id, which sorts after all older ids.
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }
}

impl EventId {
    /// The id of the order's event of this type: UUIDv5 with the order id as its namespace.
    pub fn of(order: OrderId, event_type: EventType) -> Self {
        Self(Uuid::new_v5(&order.0, event_type.name().as_bytes()))
    }
}

impl PaymentId {
    /// The id of the order's one payment: UUIDv5 with the order id as its namespace.
    pub fn of(order: OrderId) -> Self {
        Self(Uuid::new_v5(&order.0, b"payment"))
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $limit:literal, $max:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The bounds, in words.
            pub const LIMIT: OutOfBounds = OutOfBounds($limit);

            /// Checks the bounds.
            ///
            /// # Errors
            /// [`Self::LIMIT`].
            pub fn new(text: impl Into<String>) -> Result<Self, OutOfBounds> {
                let text = text.into();
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=$max).contains(&text.len()) && text.bytes().all(allowed) {
                    Ok(Self(text))
                } else {
                    Err(Self::LIMIT)
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = OutOfBounds;

            fn from_str(text: &str) -> Result<Self, OutOfBounds> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Through a Value: the error for a number then states the bounds, and is not the
                // text of a parser.
                match serde_json::Value::deserialize(deserializer)? {
                    serde_json::Value::String(text) => Self::new(text).map_err(de::Error::custom),
                    _ => Err(de::Error::custom(Self::LIMIT)),
                }
            }
        }
    };
}

text_id! {
    /// A customer. 1 to 64 of `A-Z a-z 0-9 _ -`.
    CustomerId, "must be a text of 1 to 64 letters, digits, _ or -", 64,
    |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}
text_id! {
    /// A product. 1 to 64 of `A-Z a-z 0-9 _ -`.
    ProductId, "must be a text of 1 to 64 letters, digits, _ or -", 64,
    |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}
text_id! {
    /// The id that a client gave to its request. Every event and every log line of the saga has it.
    /// 1 to 128 visible ASCII characters.
    CorrelationId, "must be 1 to 128 visible ASCII characters", 128,
    |byte| byte.is_ascii_graphic()
}

impl CorrelationId {
    /// A new id, for a request without one.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_and_payment_ids_depend_on_the_order_only() {
        let order = OrderId::now();
        assert_eq!(
            EventId::of(order, EventType::OrderCreated),
            EventId::of(order, EventType::OrderCreated)
        );
        assert_ne!(
            EventId::of(order, EventType::OrderCreated),
            EventId::of(order, EventType::PaymentFailed)
        );
        assert_ne!(PaymentId::of(order), PaymentId::of(OrderId::now()));
    }

    #[test]
    fn an_order_id_has_one_spelling() {
        let text = "0199a0a0-0000-7000-8000-00000000000a";
        assert_eq!(text.parse::<OrderId>().unwrap().to_string(), text);
        for other in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            String::new(),
        ] {
            assert!(other.parse::<OrderId>().is_err(), "{other}");
        }
    }

    #[test]
    fn text_ids_outside_their_bounds_are_rejected() {
        assert!(CustomerId::new("a".repeat(64)).is_ok());
        for bad in ["", "a b", "a\u{0}", "ü", "a/b", &"a".repeat(65)] {
            assert!(CustomerId::new(bad).is_err(), "{bad:?}");
        }
        assert!(CorrelationId::new("!".repeat(128)).is_ok());
        for bad in ["", "a b", "a\n", "ü", &"a".repeat(129)] {
            assert!(CorrelationId::new(bad).is_err(), "{bad:?}");
        }
        assert!(serde_json::from_str::<ProductId>("12").is_err());
        assert!(serde_json::from_str::<ProductId>(r#""a\u0000""#).is_err());
        assert_eq!(
            serde_json::from_str::<ProductId>(r#""prod_123""#)
                .unwrap()
                .as_str(),
            "prod_123"
        );
    }
}
