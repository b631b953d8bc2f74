//! What the command can see of a stack: everything on the host that runs its processes; only names and addresses in a
//! container of docker-compose.yml, where DNS finds the other containers and their processes are invisible.
//!
//! Every difference between the two is in this file. The command refuses verbs that need the host when it runs in a container.

use anyhow::Result;
use service_kit::dns_lookup::DnsLookup;
use service_kit::instance;
use shared_events::{OrderId, Service};

use crate::doctor::{Finding, examine_host, examine_network};
use crate::layout::{Instance, StackLayout};
use crate::merged_logs::{self, LogLine};
use crate::ports::container_port;
use crate::status_rows::{self, ChangedSetting, ProcessRow};
use crate::terminal::Usage;
use crate::workload::Workload;
use crate::{Stack, StartedInstance};

/// Where this program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostOrContainer {
    /// On the host that runs the processes of the stack.
    Host,
    /// In a container beside those of the stack.
    Container,
}

impl HostOrContainer {
    /// The running instances of a workload, by slot. On the host they include paused instances.
    pub async fn instances(
        self,
        layout: &StackLayout,
        workload: Workload,
    ) -> Result<Vec<Instance>> {
        match self {
            Self::Host if !layout.home().exists() => Ok(Vec::new()),
            Self::Host => {
                let known = Stack::open(layout)?.started_instances(workload)?;
                let alive = known.into_iter().filter(StartedInstance::is_alive);
                alive.map(|one| one.instance(layout)).collect()
            }
            Self::Container => Ok(containers_of(workload).await),
        }
    }

    /// The address of an instance whether it runs or not; `None` in a container, where only DNS knows addresses.
    pub fn expected_url(
        self,
        layout: &StackLayout,
        workload: Workload,
        slot: u32,
    ) -> Result<Option<String>> {
        match self {
            Self::Host => layout.url(workload, slot).map(Some),
            Self::Container => Ok(None),
        }
    }

    /// The address that a person types on the host, as shell text.
    pub async fn url_for_shell(self, layout: &StackLayout, workload: Workload) -> Result<String> {
        match (self, workload) {
            (Self::Host, _) => {
                let running = self.instances(layout, workload).await?;
                let first = running.into_iter().next();
                first.map_or_else(|| layout.url(workload, 1), |instance| Ok(instance.url))
            }
            // Compose publishes each instance on any port of a range.
            (Self::Container, Workload::Service(Service::Inventory)) => {
                Ok(format!("$(./sandbox url {workload})"))
            }
            (Self::Container, _) => Ok(format!("http://localhost:{}", layout.port(workload, 1)?)),
        }
    }

    /// The rows of `status`: every started process on the host, every running instance in a container.
    pub async fn processes(self, layout: &StackLayout) -> Result<Vec<ProcessRow>> {
        match self {
            Self::Host => status_rows::process_rows(&Stack::open(layout)?).await,
            Self::Container => status_rows::instance_rows(layout).await,
        }
    }

    /// The settings that `restart --set` changed; empty in a container, where the settings are in `.env` on the host.
    pub fn changed_settings(self, layout: &StackLayout) -> Result<Vec<ChangedSetting>> {
        match self {
            Self::Host => status_rows::changed_settings(&Stack::open(layout)?),
            Self::Container => Ok(Vec::new()),
        }
    }

    /// The workloads that were scaled to 0; empty in a container, whose host knows it.
    pub fn scaled_to_zero(self, layout: &StackLayout) -> Result<Vec<String>> {
        match self {
            Self::Host => {
                let saved = Stack::open(layout)?.saved_settings()?;
                Ok(saved.scaled_to_zero().map(str::to_owned).collect())
            }
            Self::Container => Ok(Vec::new()),
        }
    }

    /// False if the broker is known not to run. A container cannot know that.
    pub fn kafka_may_run(self, layout: &StackLayout) -> Result<bool> {
        match self {
            Self::Host => Stack::open(layout)?.kafka_runs(),
            Self::Container => Ok(true),
        }
    }

    /// What a person must know before all else: a full disk, and process records that cannot be read. A line for each.
    pub fn warnings(self, layout: &StackLayout) -> Result<Vec<String>> {
        match self {
            Self::Host => {
                let stack = Stack::open(layout)?;
                let mut warnings: Vec<String> = stack.disk_shortage()?.into_iter().collect();
                warnings.extend(stack.processes.unreadable_records()?);
                Ok(warnings)
            }
            Self::Container => Ok(Vec::new()),
        }
    }

    /// The findings of [`crate::doctor`], as far as they can be seen from here.
    pub async fn findings(self, layout: &StackLayout) -> Result<Vec<Finding>> {
        match self {
            Self::Host => examine_host(&Stack::open(layout)?).await,
            Self::Container => examine_network(layout).await,
        }
    }

    /// The services' log lines that name the order; `None` in a container, which cannot read logs.
    pub fn log_lines_about_order(
        self,
        layout: &StackLayout,
        order: OrderId,
    ) -> Result<Option<Vec<LogLine>>> {
        match self {
            Self::Host => merged_logs::lines_about_order(&Stack::open(layout)?, order).map(Some),
            Self::Container => Ok(None),
        }
    }

    /// Fails in a container: this verb needs the processes, files or tools of the host.
    pub fn require_host(self, what: &str) -> Result<()> {
        match self {
            Self::Host => Ok(()),
            Self::Container => Err(Usage::error(format_args!(
                "{what} works on the host only: ./sandbox {what}"
            ))),
        }
    }

    /// Fails on the host, where this verb would delete topics under running services.
    pub fn require_container(self, what: &str, instead: &str) -> Result<()> {
        match self {
            Self::Container => Ok(()),
            Self::Host => Err(Usage::error(format_args!(
                "{what} is a part of ./sandbox {instead}, and works only inside the network of docker-compose.yml"
            ))),
        }
    }
}

/// The containers of the workload: DNS resolves its name to the addresses of all of them. The slots are the numbers that the
/// instances themselves use in metrics.
async fn containers_of(workload: Workload) -> Vec<Instance> {
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
            url: format!("http://{address}:{}", container_port(workload)),
        });
    }
    found.sort_by_key(|instance| instance.slot);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_of_the_other_side_is_refused_as_a_usage_error() {
        for refused in [
            HostOrContainer::Container.require_host("up"),
            HostOrContainer::Host.require_container("reset-data", "reset"),
        ] {
            let error = refused.unwrap_err();
            assert!(error.is::<Usage>(), "{error}");
            assert!(error.to_string().contains("./sandbox"), "{error}");
        }
        assert!(HostOrContainer::Host.require_host("up").is_ok());
        let allowed = HostOrContainer::Container.require_container("reset-data", "reset");
        assert!(allowed.is_ok());
    }
}
