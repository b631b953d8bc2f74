//! The databases of the shop.

use shared_events::Service;

/// A database of a service, and the role that owns it. The role's password is its name: only this machine can connect, and the
/// data is a toy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: &'static str,
    /// Who owns it.
    pub role: &'static str,
}

impl Database {
    /// All of them.
    pub const ALL: [Self; 2] = [
        Self {
            name: "orders_db",
            role: "orders",
        },
        Self {
            name: "inventory_db",
            role: "inventory",
        },
    ];

    /// The one of a service; payment-service has none.
    pub const fn of(service: Service) -> Option<Self> {
        let [orders, inventory] = Self::ALL;
        match service {
            Service::Order => Some(orders),
            Service::Payment => None,
            Service::Inventory => Some(inventory),
        }
    }
}
