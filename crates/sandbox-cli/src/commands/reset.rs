//! `sandbox reset`: as on the first day, with what ran running.

use std::time::Instant;

use anyhow::Result;
use local_runtime::process::ProcessState;

use stack::sandbox::Sandbox;
use stack::Stack;
use stack::backends::empty_kafka;
use stack::saved_settings::Memory;
use stack::start::Wanted;
use stack::terminal::{Progress, say};
use stack::workload::Workload;

/// Nothing to choose.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox reset\n\nOrders, stock, topics, groups and changed settings are gone afterwards; what ran runs again, and Prometheus has forgotten what it saw."
)]
pub struct Reset {}

/// Stops the services and Prometheus, empties broker and database, and starts what ran.
pub async fn run(_: Reset, sandbox: &Sandbox) -> Result<()> {
    let hold = sandbox.interrupt().hold()?;
    let stack = Stack::open(sandbox)?;
    let _lock = hold.or(stack.lock()).await?;
    let begun = Instant::now();
    let mut slots = Vec::new();
    let mut ended = Vec::new();
    for workload in Workload::ALL {
        for one in stack.known(workload)? {
            match one.state {
                ProcessState::Running | ProcessState::Paused => slots.push((workload, one.slot)),
                ProcessState::Ended(_) => ended.push(one.record.name),
            }
        }
    }
    stack.require_free_ports(&Wanted {
        kafka: true,
        postgres: true,
        ..Wanted::default()
    })?;
    let observed;
    {
        let _progress = Progress::new("emptying topics, groups and databases");
        stack.stop_instances(&slots).await?;
        observed = stack.empty_prometheus().await?;
        let (kafka, postgres) = tokio::join!(stack.bring_kafka(&hold), stack.bring_postgres(&hold));
        kafka.and(postgres)?;
        let cluster = stack.cluster()?;
        hold.or(async {
            tokio::try_join!(empty_kafka(&cluster), stack.empty_postgres()).map(drop)
        })
        .await?;
    }
    for name in ended {
        stack.processes.forget(&name)?;
    }
    Memory::forget(stack.home().folder())?;
    let wanted = Wanted {
        slots,
        prometheus: observed,
        ..Wanted::default()
    };
    let brought = stack.bring(&wanted, &hold).await?;
    say(format_args!(
        "empty again after {:.1} s; running: {}",
        begun.elapsed().as_secs_f64(),
        match brought.started.as_slice() {
            [] => "broker and database".to_owned(),
            names => names.join(", "),
        }
    ));
    Ok(())
}
