//! `sandbox bench drain`

use std::time::{Duration, Instant};

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

/// How long a broker takes to its working temperature. New members are warmed up once each besides.
const WARM: Duration = Duration::from_secs(30);

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
    let begun = Instant::now();
    for delivery in DELIVERIES {
        for members in MEMBERS {
            let ways = [(BATCH, args.events), (1, args.single_events)];
            let ways = ways.map(|(batch_max, events)| Way {
                delivery,
                batch_max,
                events,
            });
            let say =
                |what: String| progress.say(format!("{delivery}, {members} member(s): {what}"));
            say("starting".to_owned());
            let instances = cast::inventory(sandbox, members, delivery).await?;
            scene.prime().await?;
            let mut warm = false;
            while !warm {
                say("warming up".to_owned());
                for way in ways {
                    let mut ignored = Figures::default();
                    scene.measure(way, &instances, None, &mut ignored).await?;
                }
                warm = begun.elapsed() > WARM;
            }
            for run in 1..=args.runs {
                let mut limit = None;
                for way in ways {
                    say(format!(
                        "run {run} of {}, batches of {}",
                        args.runs, way.batch_max
                    ));
                    limit = scene.measure(way, &instances, limit, figures).await?;
                }
            }
        }
    }
    Ok(())
}
