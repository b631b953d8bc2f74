//! `sandbox bench drain`: how fast inventory-service drains a backlog.

use std::time::{Duration, Instant};

use anyhow::Result;
use bench::drain::{DrainBench, DrainCase, MIN_COMPARED_EVENTS};
use bench::isolated_instances::{restoring_instances, start_inventory_alone};
use bench::measurements::Measurements;
use bench::{MAX_ORDERS, usage};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use service_kit::settings::whole_number;
use stack::layout::StackLayout;
use stack::terminal::{Progress, counted};

/// The delivery modes, the slower one first.
const DELIVERIES: [&str; 2] = ["exactly-once", "at-least-once"];

/// The numbers of members: one, and one for each partition.
const MEMBERS: [u32; 2] = [1, 3];

/// The batch size where batches are measured: the default of every service.
const BATCH: u32 = 500;

/// How long the broker takes to get warm. Each group of new members is also warmed up at least once.
const WARMUP_TIME: Duration = Duration::from_secs(30);

/// The highest number of events in a warm-up of members with batches of one.
const MAX_WARMUP_SINGLE_EVENTS: u64 = 2_000;

/// The amount of load.
#[derive(Debug, Clone, Args)]
pub(super) struct Drain {
    /// The backlog for members with batches
    #[arg(long, default_value_t = MAX_ORDERS, value_parser = whole_number::<u64>(MIN_COMPARED_EVENTS..=MAX_ORDERS))]
    events: u64,

    /// The backlog for members with batches of one, which read a few hundred events a second. Below 10000 the plain consumer is
    /// not measured, because it reads so few events in one fetch
    #[arg(long, default_value_t = MIN_COMPARED_EVENTS, value_parser = whole_number::<u64>(100..=MAX_ORDERS))]
    single_events: u64,

    /// Only this delivery mode [default: both]
    #[arg(long, value_parser = PossibleValuesParser::new(DELIVERIES))]
    delivery: Option<String>,

    /// Do not warm up
    #[arg(long)]
    no_warm: bool,

    /// The number of runs, of which min, median and max are printed
    #[arg(long, default_value_t = 1, value_parser = whole_number::<u32>(1..=20))]
    runs: u32,

    /// Print the JSON that is written to the file
    #[arg(long)]
    json: bool,
}

/// Measures each delivery mode and batch size, with one member and with three.
pub(super) async fn run(args: Drain, layout: &StackLayout) -> Result<()> {
    let load_before = usage::load_average()?;
    let mut measurements = Measurements::default();
    restoring_instances(layout, measure(&args, layout, &mut measurements)).await?;
    let conditions = json!({
        "runs": args.runs,
        "events": args.events,
        "eventsForEachMessage": args.single_events,
        "warmed": !args.no_warm,
        "loadAverageBefore": load_before,
    });
    measurements.publish(layout, "drain", &conditions, args.json)?;
    Ok(())
}

async fn measure(
    args: &Drain,
    layout: &StackLayout,
    measurements: &mut Measurements,
) -> Result<()> {
    let bench = DrainBench::open(layout)?;
    let progress = Progress::new("drain");
    let start = Instant::now();
    let only = args.delivery.as_deref();
    let deliveries = DELIVERIES.into_iter();
    for delivery in deliveries.filter(|delivery| only.is_none_or(|only| only == *delivery)) {
        for members in MEMBERS {
            let say = |what: String| {
                progress.say(format!(
                    "{delivery}, {}: {what}",
                    counted(members as usize, "member")
                ))
            };
            say("starting".to_owned());
            let instances = start_inventory_alone(layout, members, delivery).await?;
            bench.prime().await?;
            let mut warm = args.no_warm;
            while !warm {
                say("warming up".to_owned());
                let single_events = args.single_events.min(MAX_WARMUP_SINGLE_EVENTS);
                for case in cases(delivery, args.events, single_events) {
                    let mut ignored = Measurements::default();
                    bench.measure(case, &instances, &mut ignored).await?;
                }
                warm = start.elapsed() > WARMUP_TIME;
            }
            for run in 1..=args.runs {
                for case in cases(delivery, args.events, args.single_events) {
                    let batch_max = case.batch_max;
                    say(format!(
                        "run {run} of {}, batches of {batch_max}",
                        args.runs
                    ));
                    bench.measure(case, &instances, measurements).await?;
                }
            }
        }
    }
    Ok(())
}

/// A drain in batches, and one in batches of one.
fn cases(delivery: &'static str, events: u64, single_events: u64) -> [DrainCase; 2] {
    [(BATCH, events), (1, single_events)].map(|(batch_max, events)| DrainCase {
        delivery,
        batch_max,
        events,
    })
}
