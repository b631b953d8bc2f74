//! `sandbox bench load`: how fast load-generator produces.

use std::time::{Duration, Instant};

use anyhow::Result;
use bench::figures::Figures;
use bench::load::{MOST_EVENTS, RATES, Scene};
use bench::usage;
use clap::{Args, value_parser};
use serde_json::json;
use stack::layout::StackLayout;
use stack::terminal::Progress;

/// How long the broker takes to get warm.
const WARM: Duration = Duration::from_secs(30);

/// The amount of load.
#[derive(Debug, Clone, Args)]
pub(super) struct Load {
    /// Events of a burst, and records of Kafka's producer-perf-test
    #[arg(long, default_value_t = 2_000_000, value_parser = value_parser!(u64).range(10_000..=MOST_EVENTS))]
    events: u64,

    /// Seconds of each rate
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=60))]
    seconds: u32,

    /// The number of runs, of which min, median and max are printed
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=20))]
    runs: u32,

    /// Do not warm up
    #[arg(long)]
    no_warm: bool,

    /// Print the JSON that is written to the file
    #[arg(long)]
    json: bool,
}

/// Measures bursts, Kafka's own tool, and rates.
pub(super) async fn run(args: Load, layout: &StackLayout) -> Result<()> {
    let load_before = usage::load()?;
    let scene = Scene::open(layout).await?;
    let mut figures = Figures::default();
    scene.during(measure(&args, &scene, &mut figures)).await?;
    let conditions = json!({
        "runs": args.runs,
        "events": args.events,
        "seconds": args.seconds,
        "warmed": !args.no_warm,
        "loadAverageBefore": load_before,
    });
    figures.publish(layout, "load", &conditions, args.json)?;
    Ok(())
}

async fn measure(args: &Load, scene: &Scene<'_>, figures: &mut Figures) -> Result<()> {
    let progress = Progress::new("load");
    let begun = Instant::now();
    while !args.no_warm && begun.elapsed() < WARM {
        progress.say("warming up".to_owned());
        let mut ignored = Figures::default();
        scene.burst(args.events, &mut ignored).await?;
    }
    for run in 1..=args.runs {
        let step = |what: &str| progress.say(format!("run {run} of {}: {what}", args.runs));
        figures.add("load average before a run", "", usage::load()?);
        step("bursts");
        scene.burst(args.events, figures).await?;
        for rate in RATES {
            step(&format!("{rate} a second"));
            scene.rate(rate, args.seconds, figures).await?;
        }
    }
    Ok(())
}
