//! `sandbox up`: starts everything, or the named targets, and waits until all is ready. The work is in [`stack::start`].

use std::time::Instant;

use anyhow::Result;
use local_runtime::kafka::Node;
use local_runtime::postgres::POSTGRES;
use local_runtime::prometheus::PROMETHEUS;
use shared_events::Service;
use stack::layout::{Database, StackLayout};
use stack::start::StartReport;
use stack::start_plan::StartPlan;
use stack::target::ProcessTarget;
use stack::terminal::{Table, note, say};
use stack::workload::Workload;
use stack::{Stack, build, process_name};

/// What to start.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox up\n  ./sandbox up inventory-service.2     starts a killed instance again\n  ./sandbox up kafka\n  ./sandbox up --brokers 3             a new stack with kafka.1, kafka.2 and kafka.3\n  ./sandbox up --observe               Prometheus too, which must be installed on this machine\n  ./sandbox up --gateway               payments go through a simulated gateway that can fail\n\nProcesses that run are left alone, paused processes are continued."
)]
pub struct Up {
    /// Only these: a service or tool (with what it needs), one of its instances, kafka, postgres or prometheus
    #[arg(value_name = "SERVICE[.SLOT]|kafka[.N]|postgres|prometheus")]
    pub targets: Vec<ProcessTarget>,

    /// The number of brokers of a new stack, 1 or 3; a stack with data keeps its number [default: 1]
    #[arg(long, value_name = "N", value_parser = broker_count)]
    pub brokers: Option<u16>,

    /// Start Prometheus, too; until `down` it is one of the stack's processes
    #[arg(long)]
    pub observe: bool,

    /// Start payment-gateway, too: payment-service then charges through it, until `down` or `reset`
    #[arg(long)]
    pub gateway: bool,

    /// Use no network: `./sandbox fetch` must have run before
    #[arg(long)]
    pub offline: bool,

    /// Start the binaries as they are, without a build
    #[arg(long)]
    pub no_build: bool,

    /// Do not wait until the services are ready
    #[arg(long)]
    pub no_wait: bool,
}

/// Builds, starts, waits, and prints all addresses.
pub async fn run(args: Up, layout: &StackLayout) -> Result<()> {
    let guard = layout.interrupt().guard()?;
    let chosen = args.brokers.map(|count| layout.with_brokers(count));
    let chosen = chosen.transpose()?;
    let layout = chosen.as_ref().unwrap_or(layout);
    let stack = Stack::open(layout)?;
    let _lock = guard.unless_interrupted(stack.lock()).await?;
    let mut plan = match args.targets.as_slice() {
        [] => StartPlan::of_everything(&stack)?,
        targets => StartPlan::of_targets(&stack, targets)?,
    };
    plan.no_wait = args.no_wait;
    plan.prometheus |= args.observe;
    if args.gateway {
        plan.add_gateway();
    }
    // Checked before anything that takes time, and again before anything starts.
    if plan.prometheus {
        stack.require_prometheus()?;
    }
    stack.require_free_ports(&plan)?;
    stack.require_disk_space(&plan)?;
    if !plan.instances.is_empty() && !args.no_build {
        build::build(layout, args.offline, &guard).await?;
    }
    build::fetch(layout, args.offline, &guard).await?;
    let begun = Instant::now();
    let restart = args.gateway && stack.use_gateway()?;
    let report = stack.start(&plan, &guard).await?;
    if restart {
        stack.restart_with_gateway(args.no_wait, &guard).await?;
    }
    show_report(&report);
    let what = if args.no_wait { "started" } else { "ready" };
    note(format_args!(
        "{what} after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    show_addresses(&stack).await
}

fn broker_count(text: &str) -> Result<u16, &'static str> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("must be 1 or 3"),
    }
}

fn show_report(report: &StartReport) {
    for (what, names) in [
        ("already running", &report.already_running),
        ("continued", &report.continued),
        ("started", &report.started),
    ] {
        if !names.is_empty() {
            note(format_args!("{what}: {}", names.join(", ")));
        }
    }
}

async fn show_addresses(stack: &Stack<'_>) -> Result<()> {
    let layout = stack.layout;
    let mut table = Table::new(&["what", "address"]);
    for workload in Workload::KNOWN {
        for instance in layout.instances(workload).await? {
            table.row([process_name(workload, instance.slot), instance.url]);
        }
    }
    let alive = stack.alive_processes()?;
    if alive.iter().any(|name| Node::is_name(name)) {
        table.row(["Kafka".to_owned(), layout.kafka().bootstrap_servers]);
    }
    if alive.iter().any(|name| name == POSTGRES) {
        for database in Database::ALL {
            table.row([
                format!("PostgreSQL {}", database.name),
                layout.connection_url(database),
            ]);
        }
    }
    if alive.iter().any(|name| name == PROMETHEUS) {
        table.row([
            "Prometheus".to_owned(),
            layout.http_url(layout.settings().ports.prometheus_port),
        ]);
    }
    say(table);
    let Some(order) = layout.instances(Service::Order).await?.into_iter().next() else {
        return Ok(());
    };
    let order = order.url;
    say(format_args!(
        "\nTry next:\n  curl -X POST {order}/orders -H \"Content-Type: application/json\" \\\n    -d '{{\"customerId\": \"cust_happy_path\", \"productId\": \"prod_123\", \"quantity\": 2, \"amount\": 250.50}}'\n  ./sandbox demo      the four outcomes of an order\n  ./sandbox status    what runs, and the lag of each group\n  ./sandbox scenario consumer-lag    a group that falls behind, and three ways to repair that"
    ));
    let monitor = layout.instances(Workload::LagMonitor).await?;
    if let Some(monitor) = monitor.into_iter().next() {
        say(format_args!(
            "  {}/    in a browser: every group live, with sliders that make it slow and a button for a burst",
            monitor.url
        ));
    }
    Ok(())
}
