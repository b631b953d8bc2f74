//! `sandbox status`: shows processes, changed settings and controls, topics, groups and stuck orders. The rows are made in
//! [`stack::status_rows`].

mod view;

use std::time::Duration;

use anyhow::{Context, Result};
use faults::broken::{BrokenFault, BrokenFaults};
use kafka_admin::Cluster;
use serde_json::json;
use shared_events::Service;
use stack::lag_view;
use stack::layout::{Instance, StackLayout};
use stack::shop_client::ShopClient;
use stack::status_rows::broker::{BrokerStatus, broker_status};
use stack::status_rows::members::{MemberRows, member_rows};
use stack::status_rows::stuck_orders::{StuckOrders, stuck_orders};
use stack::status_rows::{ChangedSetting, ProcessRow};
use stack::terminal::say;

/// The time limit of the broker's first answer.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox status\n  ./sandbox status --json | jq '.processes[] | select(.readiness != \"ready\")'"
)]
pub struct Status {
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// Everything that is shown. A part that cannot be read is the reason for that.
struct Shown {
    warnings: Vec<String>,
    processes: Vec<ProcessRow>,
    changed: Vec<ChangedSetting>,
    scaled_to_zero: Vec<String>,
    broken: Vec<BrokenFault>,
    members: MemberRows,
    broker: Result<BrokerStatus, String>,
    stuck: Result<StuckOrders, String>,
}

/// Prints everything, or as much as can be read while broker, database or services are down.
pub async fn run(args: Status, layout: &StackLayout) -> Result<()> {
    let shown = read(layout).await?;
    if args.json {
        return show_json(&shown);
    }
    view::show(&shown);
    Ok(())
}

async fn read(layout: &StackLayout) -> Result<Shown> {
    let side = layout.host_or_container();
    let mut warnings = side.warnings(layout)?;
    let broken = match BrokenFaults::load(layout.home()) {
        Ok(broken) => broken.faults,
        Err(error) => {
            warnings.push(format!("{error:#}"));
            Vec::new()
        }
    };
    let processes = side.processes(layout).await?;
    let changed = side.changed_settings(layout)?;
    let mut instances = Vec::new();
    for service in Service::ALL {
        instances.extend(layout.instances(service).await?);
    }
    let members = member_rows(layout, &instances, &processes);
    let broker = read_broker(layout, &instances);
    let stuck = read_stuck(layout, &processes);
    let (members, broker, stuck) = tokio::join!(members, broker, stuck);
    let why = |error| format!("{error:#}");
    Ok(Shown {
        warnings,
        processes,
        changed,
        scaled_to_zero: side.scaled_to_zero(layout)?,
        broken,
        members: members?,
        broker: broker.map_err(why),
        stuck: stuck.map_err(why),
    })
}

async fn read_broker(layout: &StackLayout, instances: &[Instance]) -> Result<BrokerStatus> {
    let may_run = layout.host_or_container().kafka_may_run(layout)?;
    may_run.then_some(()).context("kafka does not run")?;
    let cluster = Cluster::new(&layout.kafka())?;
    cluster.ping(TIMEOUT).await?;
    let mut reader = lag_view::reader(&layout.kafka());
    let snapshot = lag_view::read_counted(&mut reader, None).await?;
    Ok(broker_status(&snapshot, cluster.prefix(), instances))
}

async fn read_stuck(layout: &StackLayout, processes: &[ProcessRow]) -> Result<StuckOrders> {
    let mut rows = processes.iter();
    let answers = rows.any(|row| row.name.starts_with(Service::Order.name()) && row.answers());
    answers
        .then_some(())
        .with_context(|| format!("{} does not answer", Service::Order))?;
    stuck_orders(&ShopClient::new(layout)?).await
}

fn show_json(shown: &Shown) -> Result<()> {
    let object = json!({
        "warnings": shown.warnings,
        "processes": shown.processes,
        "settings": shown.changed,
        "scaledToZero": shown.scaled_to_zero,
        "broken": shown.broken,
        "controls": shown.members.controls,
        "conditions": shown.members.conditions,
        "stuckOrders": shown.stuck.as_ref().ok(),
        "kafka": shown.broker.as_ref().ok(),
        "kafkaError": shown.broker.as_ref().err(),
    });
    say(serde_json::to_string_pretty(&object)?);
    Ok(())
}
