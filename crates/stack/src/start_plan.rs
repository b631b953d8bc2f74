//! Which processes a command starts: all of them, or those that the person named with what they need.

use anyhow::{Result, bail};
use local_runtime::free_ports::require_free;
use local_runtime::kafka::Node;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::ProcessState;
use local_runtime::prometheus::PROMETHEUS;

use crate::Stack;
use crate::instances::InstanceId;
use crate::ports::{AssignedPort, Ports};
use crate::target::{ProcessTarget, Target};
use crate::workload::Workload;

/// The processes to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartPlan {
    /// Start these brokers.
    pub kafka: Vec<Node>,
    /// Start the database.
    pub postgres: bool,
    /// Start Prometheus.
    pub prometheus: bool,
    /// Start these instances of services and tools.
    pub instances: Vec<InstanceId>,
    /// Return when the instances are started. Broker and database are waited for even then, since topics and databases are
    /// created in them.
    pub no_wait: bool,
}

impl StartPlan {
    /// Only these instances.
    pub fn of_instances(instances: Vec<InstanceId>) -> Self {
        Self {
            instances,
            ..Self::default()
        }
    }

    /// Only broker and database.
    pub fn of_backends(stack: &Stack<'_>) -> Self {
        Self {
            kafka: stack.layout.brokers(),
            postgres: true,
            ..Self::default()
        }
    }

    /// Everything: broker, database, each instance that was started since the last `down`, the first instance of every other
    /// workload, and Prometheus if it belongs to the stack.
    pub fn of_everything(stack: &Stack<'_>) -> Result<Self> {
        let mut plan = Self::of_backends(stack);
        plan.prometheus = stack.has_prometheus()?;
        for of in Workload::ALL {
            let instances = instances_of(stack, Target { of, slot: None })?;
            plan.instances.extend(instances);
        }
        if stack.uses_gateway()? {
            plan.add_gateway();
        }
        Ok(plan)
    }

    /// The targets, and broker and database if a service among them needs those.
    pub fn of_targets(stack: &Stack<'_>, targets: &[ProcessTarget]) -> Result<Self> {
        let mut plan = Self {
            postgres: targets.contains(&ProcessTarget::Postgres),
            prometheus: targets.contains(&ProcessTarget::Prometheus),
            ..Self::default()
        };
        for target in targets {
            match target {
                ProcessTarget::Workload(target) => {
                    plan.instances.extend(instances_of(stack, *target)?);
                    for node in stack.layout.brokers() {
                        plan.kafka
                            .extend(is_needed(stack, &node.name())?.then_some(node));
                    }
                    plan.postgres |= is_needed(stack, POSTGRES)?;
                }
                ProcessTarget::Kafka(id) => plan.kafka.extend(stack.nodes(*id)?),
                ProcessTarget::Postgres | ProcessTarget::Prometheus => {}
            }
        }
        plan.kafka.sort();
        plan.kafka.dedup();
        plan.instances.sort();
        plan.instances.dedup();
        Ok(plan)
    }

    /// Starts payment-gateway, too.
    pub fn add_gateway(&mut self) {
        let gateway = (Workload::PaymentGateway, 1);
        if !self.instances.contains(&gateway) {
            self.instances.push(gateway);
        }
    }

    /// The names of the processes: broker and database first, then the instances, then Prometheus.
    pub fn process_names(&self) -> Vec<String> {
        let kafka = self.kafka.iter().map(|node| node.name());
        let postgres = self.postgres.then(|| POSTGRES.to_owned());
        let instances = self.instances.iter();
        let instances = instances.map(|(workload, slot)| workload.process_name(*slot));
        let prometheus = self.prometheus.then(|| PROMETHEUS.to_owned());
        let backends = kafka.chain(postgres);
        backends.chain(instances).chain(prometheus).collect()
    }

    /// The ports of these processes, in the order of [`StartPlan::process_names`].
    pub fn assigned_ports(&self, ports: &Ports) -> Result<Vec<AssignedPort>> {
        let kafka = self.kafka.iter().map(|node| ports.of_kafka(*node));
        let postgres = self.postgres.then(|| ports.of_postgres());
        let mut assigned: Vec<_> = kafka.chain(postgres).collect();
        for (workload, slot) in &self.instances {
            assigned.push(ports.of_instance(*workload, *slot)?);
        }
        assigned.extend(self.prometheus.then(|| ports.of_prometheus()));
        Ok(assigned)
    }
}

impl Stack<'_> {
    /// Fails if other processes hold ports that this plan needs. The error names all of these ports, so that a person frees
    /// them in one go.
    pub fn require_free_ports(&self, plan: &StartPlan) -> Result<()> {
        let settings = self.layout.settings();
        let mut taken = Vec::new();
        for one in plan.assigned_ports(&settings.ports)? {
            if matches!(
                self.state(&one.process)?,
                Some(ProcessState::Ended(_)) | None
            ) {
                let free = require_free(&one.process, settings.bind_addr, one.port, one.variable);
                taken.extend(free.err().map(|error| error.to_string()));
            }
        }
        if !taken.is_empty() {
            bail!("{}", taken.join("; "));
        }
        Ok(())
    }
}

/// The instances of a target. Without slot: the instances that were started since the last `down`, else the first one.
fn instances_of(stack: &Stack<'_>, target: Target<Workload>) -> Result<Vec<InstanceId>> {
    let Target { of, slot } = target;
    if let Some(slot) = slot {
        // An error if there is no such slot.
        stack.layout.port(of, slot)?;
        return Ok(vec![(of, slot)]);
    }
    let started = stack.started_instances(of)?;
    let started: Vec<_> = started.iter().map(|one| (of, one.slot)).collect();
    Ok(match started.is_empty() {
        true => vec![(of, 1)],
        false => started,
    })
}

/// A service needs broker and database. A backend that a person killed or paused stays so until it is named.
fn is_needed(stack: &Stack<'_>, name: &str) -> Result<bool> {
    Ok(match stack.state(name)? {
        None => true,
        Some(ProcessState::Ended(_)) => !stack.saved_settings()?.is_killed(name),
        Some(ProcessState::Running | ProcessState::Paused) => false,
    })
}
