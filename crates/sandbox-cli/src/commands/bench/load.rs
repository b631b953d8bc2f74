//! `sandbox bench load`: how fast load-generator produces.

use std::time::{Duration, Instant};

use anyhow::Result;
use bench::load::{LoadBench, MAX_EVENTS, RATES};
use bench::measurements::Measurements;
use bench::usage;
use clap::Args;
use serde_json::json;
use service_kit::settings::whole_number;
use stack::layout::StackLayout;
use stack::terminal::Progress;

/// How long the broker takes to get warm.
const WARMUP_TIME: Duration = Duration::from_secs(30);

/// The amount of load.
#[derive(Debug, Clone, Args)]
pub(super) struct Load {
    /// Events of a burst, and records of Kafka's producer-perf-test
    #[arg(long, default_value_t = 2_000_000, value_parser = whole_number::<u64>(10_000..=MAX_EVENTS))]
    events: u64,

    /// Seconds of each rate
    #[arg(long, default_value_t = 10, value_parser = whole_number::<u32>(1..=60))]
    seconds: u32,

    /// The number of runs, of which min, median and max are printed
    #[arg(long, default_value_t = 3, value_parser = whole_number::<u32>(1..=20))]
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
    let load_before = usage::load_average()?;
    let bench = LoadBench::open(layout).await?;
    let mut measurements = Measurements::default();
    let work = measure(&args, &bench, &mut measurements);
    bench.deleting_topic(work).await?;
    let conditions = json!({
        "runs": args.runs,
        "events": args.events,
        "seconds": args.seconds,
        "warmed": !args.no_warm,
        "loadAverageBefore": load_before,
    });
    measurements.publish(layout, "load", &conditions, args.json)?;
    Ok(())
}

async fn measure(
    args: &Load,
    bench: &LoadBench<'_>,
    measurements: &mut Measurements,
) -> Result<()> {
    let progress = Progress::new("load");
    let start = Instant::now();
    while !args.no_warm && start.elapsed() < WARMUP_TIME {
        progress.say("warming up".to_owned());
        let mut ignored = Measurements::default();
        bench.burst(args.events, &mut ignored).await?;
    }
    for run in 1..=args.runs {
        let step = |what: &str| progress.say(format!("run {run} of {}: {what}", args.runs));
        measurements.add("load average before a run", "", usage::load_average()?);
        step("bursts");
        bench.burst(args.events, measurements).await?;
        for rate in RATES {
            step(&format!("{rate} a second"));
            bench.rate(rate, args.seconds, measurements).await?;
        }
    }
    Ok(())
}
