//! The six events of the saga.
//!
//! Each event carries what the next step needs, so that no service keeps another's data or asks it. Payment's events have no
//! clock of their own: `occurredAt` comes from the event they answer, so that telling them again gives the same bytes.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Amount, CustomerId, EventId, OrderId, PaymentId, ProductId, Quantity, Topic};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident on $topic:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub struct $name {
                /// The order it is about; also the key of its record.
                pub order_id: OrderId,
                $($(#[$field_doc])* pub $field: $type,)*
                /// When the step was taken.
                pub occurred_at: DateTime<Utc>,
            }

            impl From<$name> for Event {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }
        )*

        /// Which of the six.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventType {
            $(#[doc = concat!("[`", stringify!($name), "`]")] $name,)*
        }

        impl EventType {
            /// All six, in the order in which a saga can tell them.
            pub const ALL: [Self; 6] = [$(Self::$name,)*];

            /// The name in the header `event-type`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The topic it is told on.
            pub const fn topic(self) -> Topic {
                match self {
                    $(Self::$name => Topic::$topic,)*
                }
            }

            pub(crate) fn read(self, json: &[u8]) -> Result<Event, serde_json::Error> {
                match self {
                    $(Self::$name => serde_json::from_slice(json).map(Event::$name),)*
                }
            }
        }

        /// Something that happened to an order.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name($name),)*
        }

        impl Event {
            /// Which of the six.
            pub const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$name(_) => EventType::$name,)*
                }
            }

            /// The order it is about.
            pub const fn order_id(&self) -> OrderId {
                match self {
                    $(Self::$name(event) => event.order_id,)*
                }
            }

            pub(crate) fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self {
                    $(Self::$name(event) => serde_json::to_vec(event),)*
                }
            }
        }
    };
}

events! {
    /// A customer's order was accepted.
    OrderCreated on Orders {
        /// Who ordered.
        customer_id: CustomerId,
        /// What was ordered.
        product_id: ProductId,
        /// How many pieces.
        quantity: Quantity,
        /// What the whole order costs.
        amount: Amount,
    }
    /// The customer's card was charged.
    PaymentSucceeded on Payments {
        /// The payment.
        payment_id: PaymentId,
        /// What was ordered.
        product_id: ProductId,
        /// How many pieces.
        quantity: Quantity,
        /// What was charged.
        amount: Amount,
    }
    /// The customer's card was declined; nothing was charged.
    PaymentFailed on Payments {
        /// What would have been charged.
        amount: Amount,
        /// Why, in a word.
        reason: String,
    }
    /// The pieces were taken from the stock.
    InventoryReserved on Inventory {
        /// What was reserved.
        product_id: ProductId,
        /// How many pieces.
        quantity: Quantity,
    }
    /// The stock did not hold the pieces; the payment has to be given back.
    InventoryOutOfStock on Inventory {
        /// The payment to refund.
        payment_id: PaymentId,
        /// What was ordered.
        product_id: ProductId,
        /// How many pieces.
        quantity: Quantity,
        /// What to refund.
        amount: Amount,
        /// Why, in a word: `out_of_stock` or `unknown_product`.
        reason: String,
    }
    /// The payment was given back: the compensation of [`PaymentSucceeded`].
    PaymentRefunded on Payments {
        /// The payment that was refunded.
        payment_id: PaymentId,
        /// What was refunded.
        amount: Amount,
        /// Why, as told by the event it answers.
        reason: String,
    }
}

impl Event {
    /// The id it has, whoever tells it and how often.
    pub fn event_id(&self) -> EventId {
        EventId::of(self.order_id(), self.event_type())
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EventType {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|event_type| event_type.name() == name)
            .ok_or(())
    }
}
