//! Where a stack is seen from: from the host whose processes it is, or from within the network of the Compose file, where other
//! containers are found by name and nothing is known of their processes. What differs between the two is told apart here; a
//! verb that has no meaning inside is refused in [`crate::cli`].

use anyhow::Result;
use service_kit::instance;
use service_kit::dns_lookup::DnsLookup;
use shared_events::{OrderId, Service};

use crate::sandbox::{Instance, Sandbox};
use crate::doctor::{self, examine};
use crate::finding::Finding;
use crate::merged_logs::{self, Line};
use crate::status_rows::{self, Changed, ProcessRow};
use crate::{Known, Stack};
use crate::terminal::Usage;
use crate::workload::Workload;

/// Where this program runs, as the stack sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostOrContainer {
    /// On the host whose processes broker, database and services are.
    Host,
    /// In a container beside theirs.
    Inside,
}

impl HostOrContainer {
    /// The running instances of a program, by slot. On the host, paused ones are among them.
    pub async fn instances(self, sandbox: &Sandbox, workload: Workload) -> Result<Vec<Instance>> {
        match self {
            Self::Host if !sandbox.home().exists() => Ok(Vec::new()),
            Self::Host => {
                let known = Stack::open(sandbox)?.known(workload)?;
                let alive = known.into_iter().filter(Known::lives);
                alive.map(|one| one.instance(sandbox)).collect()
            }
            Self::Inside => Ok(neighbours(workload).await),
        }
    }

    /// Where an instance that does not run would answer; `None` where that cannot be known.
    pub fn would_be_at(
        self,
        sandbox: &Sandbox,
        workload: Workload,
        slot: u32,
    ) -> Result<Option<String>> {
        match self {
            Self::Host => sandbox.url(workload, slot).map(Some),
            Self::Inside => Ok(None),
        }
    }

    /// What a person on the host types to reach the program.
    pub async fn as_typed(self, sandbox: &Sandbox, workload: Workload) -> Result<String> {
        match (self, workload) {
            (Self::Host, _) => {
                let running = self.instances(sandbox, workload).await?;
                let first = running.into_iter().next();
                first.map_or_else(|| sandbox.url(workload, 1), |instance| Ok(instance.url))
            }
            // Compose gives each of its instances any port of a range.
            (Self::Inside, Workload::Service(Service::Inventory)) => {
                Ok(format!("$(./sandbox url {workload})"))
            }
            (Self::Inside, _) => Ok(format!("http://localhost:{}", sandbox.port(workload, 1)?)),
        }
    }

    /// A row for everything that can be seen to run, or to have ended.
    pub async fn processes(self, sandbox: &Sandbox) -> Result<Vec<ProcessRow>> {
        match self {
            Self::Host => status_rows::process_rows(&Stack::open(sandbox)?).await,
            Self::Inside => status_rows::instance_rows(sandbox).await,
        }
    }

    /// The services' settings that are not the defaults. Inside nobody knows them.
    pub fn changed(self, sandbox: &Sandbox) -> Result<Vec<Changed>> {
        match self {
            Self::Host => status_rows::changed(&Stack::open(sandbox)?),
            Self::Inside => Ok(Vec::new()),
        }
    }

    /// Whether the broker may answer: on the host it is known when it does not run.
    pub fn may_reach_kafka(self, sandbox: &Sandbox) -> Result<bool> {
        match self {
            Self::Host => Stack::open(sandbox)?.kafka_runs(),
            Self::Inside => Ok(true),
        }
    }

    /// What stands in the way, as far as it can be seen from here.
    pub async fn findings(self, sandbox: &Sandbox) -> Result<Vec<Finding>> {
        match self {
            Self::Host => examine(&Stack::open(sandbox)?).await,
            Self::Inside => doctor::network(sandbox).await,
        }
    }

    /// The services' log lines that name the order; `None` where there are no logs to read.
    pub fn lines_about(self, sandbox: &Sandbox, order: OrderId) -> Result<Option<Vec<Line>>> {
        match self {
            Self::Host => merged_logs::about(&Stack::open(sandbox)?, order).map(Some),
            Self::Inside => Ok(None),
        }
    }

    /// Refuses what needs the processes of the stack.
    pub fn require_host(self, what: &str) -> Result<()> {
        match self {
            Self::Host => Ok(()),
            Self::Inside => Err(Usage::error(format_args!(
                "{what} works on the host only: ./sandbox {what}"
            ))),
        }
    }

    /// Refuses what would pull the ground from under running processes of the host.
    pub fn require_inside(self, what: &str, instead: &str) -> Result<()> {
        match self {
            Self::Inside => Ok(()),
            Self::Host => Err(Usage::error(format_args!(
                "{what} is a part of ./sandbox {instead}, and works only inside the network of docker-compose.yml"
            ))),
        }
    }
}

/// The containers of the program in this network: its name has the addresses of all of them. Those are numbered as the
/// instances number themselves.
async fn neighbours(workload: Workload) -> Vec<Instance> {
    let Some(dns) = DnsLookup::from_system() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for address in dns.ipv4_addresses(workload.name()).await {
        let name = dns.reverse(address).await;
        let number = name.as_deref().and_then(instance::number_in_name);
        found.push(Instance {
            workload,
            slot: number.unwrap_or_else(|| instance::last_octet(address)),
            url: format!("http://{address}:{}", workload.container_port()),
        });
    }
    found.sort_by_key(|instance| instance.slot);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_on_one_side_only_is_refused_on_the_other_as_asked_wrongly() {
        for refused in [
            HostOrContainer::Inside.require_host("up"),
            HostOrContainer::Host.require_inside("reset-data", "reset"),
        ] {
            let error = refused.unwrap_err();
            assert!(error.is::<Usage>(), "{error}");
            assert!(error.to_string().contains("./sandbox"), "{error}");
        }
        assert!(HostOrContainer::Host.require_host("up").is_ok());
        let inside = HostOrContainer::Inside.require_inside("reset-data", "reset");
        assert!(inside.is_ok());
    }
}
