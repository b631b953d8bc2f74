//! `sandbox bench audit`: how fast the orders of the running shop are audited, and in how much memory.

use std::time::Instant;

use anyhow::{Result, bail};
use audit::{Allowed, Audit};
use bench::measurements::Measurements;
use bench::usage;
use clap::Args;
use serde_json::json;
use service_kit::settings::whole_number;
use stack::layout::StackLayout;
use stack::terminal::Progress;

use crate::commands::audit::host_sources;

/// The number of runs.
#[derive(Debug, Clone, Args)]
pub(super) struct AuditBench {
    /// The number of audits, of which min, median and max are printed
    #[arg(long, default_value_t = 3, value_parser = whole_number::<u32>(1..=20))]
    runs: u32,

    /// Print the JSON that is written to the file
    #[arg(long)]
    json: bool,
}

/// Audits what the shop has.
pub(super) async fn run(args: AuditBench, layout: &StackLayout) -> Result<()> {
    let load_before = usage::load_average()?;
    let sources = host_sources(layout);
    let mut measurements = Measurements::default();
    let progress = Progress::new("auditing");
    let mut orders = 0;
    for run in 1..=args.runs {
        progress.say(format!("audit {run} of {}", args.runs));
        let audit = Audit {
            sources: &sources,
            allowed: Allowed::anything(),
            since: None,
            accepted_by_client: Vec::new(),
        };
        let start = Instant::now();
        orders = audit.run().await?.figures.accepted;
        let seconds = start.elapsed().as_secs_f64();
        if orders == 0 {
            bail!("the shop has no orders: ./sandbox load burst --count 1000000");
        }
        measurements.add("time of an audit", "s", seconds);
        measurements.add("orders audited", "per s", orders as f64 / seconds);
    }
    let peak = usage::peak_memory()? as f64 / 1e6;
    measurements.add("greatest memory of this program", "MB", peak);
    drop(progress);
    let conditions = json!({
        "orders": orders,
        "runs": args.runs,
        "loadAverageBefore": load_before,
    });
    measurements.publish(layout, "audit", &conditions, args.json)?;
    Ok(())
}
