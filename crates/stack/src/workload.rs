//! Our programs that run as processes or containers: the services of the shop, and the tools of the laboratory.

use std::fmt;
use std::str::FromStr;

use shared_events::Service;

/// A program of ours. A service of the shop is a member of a consumer group; a tool joins none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// A service of the shop.
    Service(Service),
    /// Produces orders.
    LoadGenerator,
    /// Watches the groups.
    LagMonitor,
}

/// How a name that is none is answered.
pub const NAMES: &str =
    "order-service, payment-service, inventory-service, load-generator or lag-monitor";

impl Workload {
    /// All of them: the shop first.
    pub const ALL: [Self; 5] = [
        Self::Service(Service::Order),
        Self::Service(Service::Payment),
        Self::Service(Service::Inventory),
        Self::LoadGenerator,
        Self::LagMonitor,
    ];

    /// The name of the program and of its Compose service.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service(service) => service.name(),
            Self::LoadGenerator => "load-generator",
            Self::LagMonitor => "lag-monitor",
        }
    }

    /// The service of the shop that it is.
    pub const fn service(self) -> Option<Service> {
        match self {
            Self::Service(service) => Some(service),
            Self::LoadGenerator | Self::LagMonitor => None,
        }
    }

    /// What its binary is called with to serve.
    pub const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::LoadGenerator => &["serve"],
            Self::Service(_) | Self::LagMonitor => &[],
        }
    }

    /// The setting that chooses its ports on the host.
    pub const fn port_setting(self) -> &'static str {
        match self {
            Self::Service(Service::Order) => "ORDER_PORT",
            Self::Service(Service::Payment) => "PAYMENT_PORT",
            Self::Service(Service::Inventory) => "INVENTORY_PORTS",
            Self::LoadGenerator => "LOAD_GENERATOR_PORT",
            Self::LagMonitor => "LAG_MONITOR_PORT",
        }
    }

    /// The port on which every container of it listens, whatever is published of it.
    pub const fn container_port(self) -> u16 {
        match self {
            Self::Service(Service::Order) => 3000,
            Self::Service(Service::Payment) => 3002,
            Self::Service(Service::Inventory) => 8001,
            Self::LoadGenerator => 8000,
            Self::LagMonitor => 8010,
        }
    }
}

impl From<Service> for Workload {
    fn from(service: Service) -> Self {
        Self::Service(service)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|one| one.name() == name);
        known.ok_or_else(|| format!("must be {NAMES}"))
    }
}
