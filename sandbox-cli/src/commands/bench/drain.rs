//! `sandbox bench drain`

use anyhow::Result;
use clap::{Args, value_parser};
use serde_json::json;

use crate::bench::drain::{Scene, Way};
use crate::bench::figures::Figures;
use crate::bench::{MOST_ORDERS, cast, usage};
use crate::sandbox::Sandbox;
use crate::terminal::Progress;

/// How services settle, the dearer way first.
const DELIVERIES: [&str; 2] = ["exactly-once", "at-least-once"];

/// How many members drain: one, and one for each partition.
const MEMBERS: [u32; 2] = [1, 3];

/// Records of a batch, where batches are measured: the default of every service.
const BATCH: u32 = 500;

/// How much of it.
#[derive(Debug, Clone, Args)]
pub(super) struct Drain {
    /// Events that wait for batches
    #[arg(long, default_value_t = MOST_ORDERS, value_parser = value_parser!(u64).range(10_000..=MOST_ORDERS))]
    events: u64,

    /// Events that wait for members that take one at a time: some hundred a second
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u64).range(100..=20_000))]
    single_events: u64,

    /// How often everything is measured: min, median and max are of these
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=20))]
    runs: u32,

    /// Print what is written to the file
    #[arg(long)]
    json: bool,
}

/// Measures each way of draining, with one member and with three.
pub(super) async fn run(args: Drain, sandbox: &Sandbox) -> Result<()> {
    let load_before = usage::load()?;
    let mut figures = Figures::default();
    cast::alone(sandbox, measure(&args, sandbox, &mut figures)).await?;
    let conditions = json!({
        "runs": args.runs,
        "events": args.events,
        "eventsForEachMessage": args.single_events,
        "loadAverageBefore": load_before,
    });
    figures.publish(sandbox, "drain", &conditions, args.json)?;
    Ok(())
}

async fn measure(args: &Drain, sandbox: &Sandbox, figures: &mut Figures) -> Result<()> {
    let scene = Scene::open(sandbox)?;
    let progress = Progress::new("drain");
    for delivery in DELIVERIES {
        for members in MEMBERS {
            progress.say(format!(
                "{delivery}: bringing up {members} of inventory-service"
            ));
            let instances = cast::inventory(sandbox, members, delivery).await?;
            for run in 0..=args.runs {
                for (batch_max, events) in [(BATCH, args.events), (1, args.single_events)] {
                    let way = Way {
                        delivery,
                        batch_max,
                        events,
                    };
                    // The first is for the working temperature of new processes, and counts for nothing.
                    let (mut ignored, what) = (
                        Figures::default(),
                        match run {
                            0 => "warming up".to_owned(),
                            _ => format!("run {run} of {}", args.runs),
                        },
                    );
                    let into = if run == 0 {
                        &mut ignored
                    } else {
                        &mut *figures
                    };
                    progress.say(format!(
                        "{delivery}, {members}, batches of {batch_max}: {what}"
                    ));
                    scene.measure(way, &instances, into).await?;
                }
            }
        }
    }
    Ok(())
}
