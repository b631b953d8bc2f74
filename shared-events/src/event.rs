//! The six events of the saga: the table `events!` below.
//!
//! An event carries what the next step of the saga needs. A service therefore keeps no copy of
//! another service's data and never queries another service.
//!
//! payment-service has no clock: the `occurredAt` of its events is that of the event it answers. If
//! payment-service handles a record a second time, it publishes the same bytes.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Amount, CustomerId, EventId, OrderId, PaymentId, ProductId, Quantity, Topic};

/// Declares each event with its topic and its fields. Generates the struct of each event, and
/// [`Event`] and [`EventType`] over all of them.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident on $topic:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase")]
            #[allow(missing_docs, reason = "most fields are described by their type")]
            pub struct $name {
                /// Also the key of the record.
                pub order_id: OrderId,
                $($(#[$field_doc])* pub $field: $type,)*
                pub occurred_at: DateTime<Utc>,
            }

            impl From<$name> for Event {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }
        )*

        /// The type of an event, without its data.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum EventType {
            $(#[doc = concat!("[`", stringify!($name), "`]")] $name,)*
        }

        impl EventType {
            /// All types, in the order in which a saga can publish them.
            pub const ALL: [Self; 6] = [$(Self::$name,)*];

            /// The value of the header `event-type`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The topic that events of this type are published to.
            pub const fn topic(self) -> Topic {
                match self {
                    $(Self::$name => Topic::$topic,)*
                }
            }

            pub(crate) fn parse_json(self, json: &[u8]) -> Result<Event, serde_json::Error> {
                match self {
                    $(Self::$name => serde_json::from_slice(json).map(Event::$name),)*
                }
            }
        }

        /// An event of the saga of one order.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name($name),)*
        }

        impl Event {
            /// The type of this event.
            pub const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$name(_) => EventType::$name,)*
                }
            }

            /// The order that this event belongs to.
            pub const fn order_id(&self) -> OrderId {
                match self {
                    $(Self::$name(event) => event.order_id,)*
                }
            }

            pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self {
                    $(Self::$name(event) => serde_json::to_vec(event),)*
                }
            }
        }
    };
}

events! {
    /// order-service has accepted an order.
    OrderCreated on Orders {
        customer_id: CustomerId,
        product_id: ProductId,
        quantity: Quantity,
        /// The price of the whole order.
        amount: Amount,
    }

    /// payment-service has charged the customer.
    PaymentSucceeded on Payments {
        payment_id: PaymentId,
        product_id: ProductId,
        quantity: Quantity,
        /// The amount charged.
        amount: Amount,
    }

    /// payment-service has declined the payment and charged nothing. The saga ends.
    PaymentFailed on Payments {
        /// The amount that was not charged.
        amount: Amount,
        /// A code: `amount_above_limit`.
        reason: String,
    }

    /// inventory-service has reserved the stock. The saga ends.
    InventoryReserved on Inventory {
        product_id: ProductId,
        quantity: Quantity,
    }

    /// inventory-service has too little stock. payment-service must refund the payment.
    InventoryOutOfStock on Inventory {
        /// The payment to refund.
        payment_id: PaymentId,
        product_id: ProductId,
        quantity: Quantity,
        /// The amount to refund.
        amount: Amount,
        /// `out_of_stock` or `unknown_product`.
        reason: String,
    }

    /// payment-service has refunded the payment: the compensation of [`PaymentSucceeded`]. The saga
    /// ends.
    PaymentRefunded on Payments {
        payment_id: PaymentId,
        /// The amount refunded.
        amount: Amount,
        /// The reason of the [`InventoryOutOfStock`] that it answers.
        reason: String,
    }
}

impl Event {
    /// The id of this event: a function of order and event type, so a repeated publication has the
    /// same id.
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
