//! `sandbox up`: everything that shall run, does, and is ready.

use std::time::Instant;

use anyhow::Result;
use local_runtime::kafka::KAFKA;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::ProcessState;
use local_runtime::prometheus::PROMETHEUS;
use shared_events::Service;

use stack::database::Database;
use stack::sandbox::Sandbox;
use stack::services::Slot;
use stack::start::{Brought, Wanted};
use stack::{Stack, process_name, provision};
use stack::target::{AnyTarget, Target};
use stack::terminal::{Table, note, say};
use stack::workload::Workload;

/// What to start.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox up\n  ./sandbox up inventory-service.2     what was killed is started again\n  ./sandbox up kafka\n  ./sandbox up --observe               Prometheus too, which must be on this machine\n\nWhat already runs is left alone, what is paused goes on."
)]
pub struct Up {
    /// Only these: a service or tool (with what it needs), one of its instances, kafka, postgres or prometheus
    #[arg(value_name = "SERVICE[.SLOT]|kafka|postgres|prometheus")]
    pub targets: Vec<AnyTarget>,

    /// Start Prometheus too; from then on it is one of the stack's processes, until `down`
    #[arg(long)]
    pub observe: bool,

    /// Use no network: everything must have been fetched before
    #[arg(long)]
    pub offline: bool,

    /// Start the binaries that are there, built or not since the last change
    #[arg(long)]
    pub no_build: bool,

    /// Do not wait until the services are ready
    #[arg(long)]
    pub no_wait: bool,
}

/// Brings it up and shows where everything is.
pub async fn run(args: Up, sandbox: &Sandbox) -> Result<()> {
    let hold = sandbox.interrupt().hold()?;
    let stack = Stack::open(sandbox)?;
    let _lock = hold.or(stack.lock()).await?;
    let mut wanted = wanted(&stack, &args.targets)?;
    wanted.no_wait = args.no_wait;
    wanted.prometheus |= args.observe;
    // Checked before anything that takes time, and again before anything starts.
    if wanted.prometheus {
        stack.require_prometheus()?;
    }
    stack.require_free_ports(&wanted)?;
    if !wanted.slots.is_empty() && !args.no_build {
        build::build(sandbox, args.offline, &hold).await?;
    }
    build::fetch(sandbox, args.offline, &hold).await?;
    let begun = Instant::now();
    let brought = stack.bring(&wanted, &hold).await?;
    tell(&brought);
    let what = if args.no_wait { "started" } else { "ready" };
    note(format_args!(
        "{what} after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    show_addresses(&stack).await
}

fn wanted(stack: &Stack<'_>, targets: &[AnyTarget]) -> Result<Wanted> {
    if targets.is_empty() {
        let mut slots = Vec::new();
        for of in Workload::ALL {
            slots.extend(slots_of(stack, Target { of, slot: None })?);
        }
        return Ok(Wanted {
            kafka: true,
            postgres: true,
            prometheus: stack.is_observed()?,
            slots,
            ..Wanted::default()
        });
    }
    let mut wanted = Wanted {
        kafka: targets.contains(&AnyTarget::Kafka),
        postgres: targets.contains(&AnyTarget::Postgres),
        prometheus: targets.contains(&AnyTarget::Prometheus),
        ..Wanted::default()
    };
    for target in targets {
        if let AnyTarget::Workload(target) = target {
            wanted.slots.extend(slots_of(stack, *target)?);
            wanted.kafka |= is_needed(stack, KAFKA)?;
            wanted.postgres |= is_needed(stack, POSTGRES)?;
        }
    }
    wanted.slots.sort();
    wanted.slots.dedup();
    Ok(wanted)
}

/// The instances a target means: those that were ever started, else the first.
fn slots_of(stack: &Stack<'_>, target: Target<Workload>) -> Result<Vec<Slot>> {
    let Target { of, slot } = target;
    if let Some(slot) = slot {
        stack.sandbox.port(of, slot)?;
        return Ok(vec![(of, slot)]);
    }
    let known: Vec<_> = stack.known(of)?.iter().map(|one| (of, one.slot)).collect();
    Ok(if known.is_empty() {
        vec![(of, 1)]
    } else {
        known
    })
}

/// A service needs broker and database; but what was killed or paused on purpose stays so until it is named.
fn is_needed(stack: &Stack<'_>, name: &str) -> Result<bool> {
    Ok(match stack.state(name)? {
        None => true,
        Some(ProcessState::Ended(_)) => !stack.memory()?.is_killed(name),
        Some(ProcessState::Running | ProcessState::Paused) => false,
    })
}

fn tell(brought: &Brought) {
    for (what, names) in [
        ("already running", &brought.ran),
        ("continued", &brought.continued),
        ("started", &brought.started),
    ] {
        if !names.is_empty() {
            note(format_args!("{what}: {}", names.join(", ")));
        }
    }
}

async fn show_addresses(stack: &Stack<'_>) -> Result<()> {
    let sandbox = stack.sandbox;
    let mut table = Table::new(&["what", "address"]);
    for workload in Workload::ALL {
        for instance in sandbox.instances(workload).await? {
            table.row([process_name(workload, instance.slot), instance.url]);
        }
    }
    let running = stack.running()?;
    if running.iter().any(|name| name == KAFKA) {
        table.row(["Kafka".to_owned(), sandbox.kafka().bootstrap_servers]);
    }
    if running.iter().any(|name| name == POSTGRES) {
        for database in Database::ALL {
            table.row([
                format!("PostgreSQL {}", database.name),
                sandbox.url_of(database),
            ]);
        }
    }
    if running.iter().any(|name| name == PROMETHEUS) {
        table.row([
            "Prometheus".to_owned(),
            sandbox.http_url(sandbox.settings().prometheus_port),
        ]);
    }
    say(table);
    let Some(order) = sandbox.instances(Service::Order).await?.into_iter().next() else {
        return Ok(());
    };
    let order = order.url;
    say(format_args!(
        "\nTry next:\n  curl -X POST {order}/orders -H \"Content-Type: application/json\" \\\n    -d '{{\"customerId\": \"cust_happy_path\", \"productId\": \"prod_123\", \"quantity\": 2, \"amount\": 250.50}}'\n  ./sandbox demo      the four stories of an order\n  ./sandbox status    what runs, and how far behind it is\n  ./sandbox scenario consumer-lag    a group that falls behind, and three ways to help it"
    ));
    let monitor = sandbox.instances(Workload::LagMonitor).await?;
    if let Some(monitor) = monitor.into_iter().next() {
        say(format_args!(
            "  {}/    in a browser: every group live, with sliders to make it slow and a button for a burst",
            monitor.url
        ));
    }
    Ok(())
}
