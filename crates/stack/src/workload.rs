//! The programs of this workspace that run as processes or containers: the services of the shop, and the tools.

use std::fmt;
use std::str::FromStr;

use shared_events::Service;

/// A program of this workspace. A service of the shop is a member of a consumer group; a tool joins none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// A service of the shop.
    Service(Service),
    /// The tool that produces orders.
    LoadGenerator,
    /// The tool that watches the lag of the groups.
    LagMonitor,
    /// The simulated payment gateway. It runs only when asked for: `up --gateway`.
    PaymentGateway,
}

/// All names, for error messages.
pub const WORKLOAD_NAMES: &str = "order-service, payment-service, inventory-service, load-generator, lag-monitor or payment-gateway";

impl Workload {
    /// The workloads that `up` starts, the services first.
    pub const ALL: [Self; 5] = [
        Self::Service(Service::Order),
        Self::Service(Service::Payment),
        Self::Service(Service::Inventory),
        Self::LoadGenerator,
        Self::LagMonitor,
    ];

    /// Those of [`Workload::ALL`], and what runs only when asked for.
    pub const KNOWN: [Self; 6] = [
        Self::Service(Service::Order),
        Self::Service(Service::Payment),
        Self::Service(Service::Inventory),
        Self::LoadGenerator,
        Self::LagMonitor,
        Self::PaymentGateway,
    ];

    /// The name of the program and of its Compose service.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service(service) => service.name(),
            Self::LoadGenerator => "load-generator",
            Self::LagMonitor => "lag-monitor",
            Self::PaymentGateway => "payment-gateway",
        }
    }

    /// The service of the shop; `None` for a tool.
    pub const fn service(self) -> Option<Service> {
        match self {
            Self::Service(service) => Some(service),
            Self::LoadGenerator | Self::LagMonitor | Self::PaymentGateway => None,
        }
    }

    /// The arguments with which the binary serves.
    pub const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::LoadGenerator => &["serve"],
            Self::Service(_) | Self::LagMonitor | Self::PaymentGateway => &[],
        }
    }

    /// The name of the process of an instance: `inventory-service.2`.
    pub fn process_name(self, slot: u32) -> String {
        format!("{self}.{slot}")
    }

    /// The slot in the name of a process of this workload; `None` for the name of any other process.
    pub fn slot_of(self, process: &str) -> Option<u32> {
        let slot = process.strip_prefix(self.name())?.strip_prefix('.')?;
        slot.parse().ok()
    }
}

/// The name of the process of an instance: `inventory-service.2`.
pub fn process_name(workload: impl Into<Workload>, slot: u32) -> String {
    workload.into().process_name(slot)
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
        let known = Self::KNOWN.into_iter().find(|one| one.name() == name);
        known.ok_or_else(|| format!("must be {WORKLOAD_NAMES}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_belongs_to_one_workload_and_one_slot() {
        let (order, inventory) = (Service::Order.into(), Service::Inventory.into());
        let name = process_name(inventory, 2);
        assert_eq!(Workload::slot_of(inventory, &name), Some(2));
        assert_eq!(Workload::slot_of(order, &name), None);
        assert_eq!(Workload::slot_of(inventory, "inventory-service"), None);
        assert_eq!(Workload::slot_of(order, "kafka"), None);
    }
}
