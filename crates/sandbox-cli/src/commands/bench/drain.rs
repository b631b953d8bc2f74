//! `sandbox bench drain`: how fast inventory-service drains a backlog.

use std::time::{Duration, Instant};

use anyhow::Result;
use bench::drain::{FEW, Scene, Way};
use bench::figures::Figures;
use bench::{MOST_ORDERS, isolated_instances, usage};
use clap::builder::PossibleValuesParser;
use clap::{Args, value_parser};
use serde_json::json;
use stack::layout::StackLayout;
use stack::terminal::Progress;

/// The delivery modes, the slower one first.
const DELIVERIES: [&str; 2] = ["exactly-once", "at-least-once"];

/// The numbers of members: one, and one for each partition.
const MEMBERS: [u32; 2] = [1, 3];

/// The batch size where batches are measured: the default of every service.
const BATCH: u32 = 500;

/// How long the broker takes to get warm. New members are warmed up once, too.
const WARM: Duration = Duration::from_secs(30);

/// The highest number of events in a warm-up of members with batches of one.
const WARM_SINGLES: u64 = 2_000;

/// The amount of load.
#[derive(Debug, Clone, Args)]
pub(super) struct Drain {
    /// The backlog for members with batches
    #[arg(long, default_value_t = MOST_ORDERS, value_parser = value_parser!(u64).range(FEW..=MOST_ORDERS))]
    events: u64,

    /// The backlog for members with batches of one, which read some hundred a second. Below 10000 the plain consumer is not
    /// measured, since it reads so few in one fetch
    #[arg(long, default_value_t = FEW, value_parser = value_parser!(u64).range(100..=MOST_ORDERS))]
    single_events: u64,

    /// Only this delivery mode [default: both]
    #[arg(long, value_parser = PossibleValuesParser::new(DELIVERIES))]
    delivery: Option<String>,

    /// Do not warm up
    #[arg(long)]
    no_warm: bool,

    /// The number of runs, of which min, median and max are printed
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=20))]
    runs: u32,

    /// Print the JSON that is written to the file
    #[arg(long)]
    json: bool,
}

/// Measures each delivery mode and batch size, with one member and with three.
pub(super) async fn run(args: Drain, layout: &StackLayout) -> Result<()> {
    let load_before = usage::load()?;
    let mut figures = Figures::default();
    isolated_instances::alone(layout, measure(&args, layout, &mut figures)).await?;
    let conditions = json!({
        "runs": args.runs,
        "events": args.events,
        "eventsForEachMessage": args.single_events,
        "warmed": !args.no_warm,
        "loadAverageBefore": load_before,
    });
    figures.publish(layout, "drain", &conditions, args.json)?;
    Ok(())
}

async fn measure(args: &Drain, layout: &StackLayout, figures: &mut Figures) -> Result<()> {
    let scene = Scene::open(layout)?;
    let progress = Progress::new("drain");
    let begun = Instant::now();
    let only = args.delivery.as_deref();
    for delivery in DELIVERIES {
        if only.is_some_and(|only| only != delivery) {
            continue;
        }
        for members in MEMBERS {
            let ways = |single_events| {
                [(BATCH, args.events), (1, single_events)].map(|(batch_max, events)| Way {
                    delivery,
                    batch_max,
                    events,
                })
            };
            let say =
                |what: String| progress.say(format!("{delivery}, {members} member(s): {what}"));
            say("starting".to_owned());
            let instances = isolated_instances::inventory(layout, members, delivery).await?;
            scene.prime().await?;
            let mut warm = args.no_warm;
            while !warm {
                say("warming up".to_owned());
                for way in ways(args.single_events.min(WARM_SINGLES)) {
                    let mut ignored = Figures::default();
                    scene.measure(way, &instances, &mut ignored).await?;
                }
                warm = begun.elapsed() > WARM;
            }
            for run in 1..=args.runs {
                for way in ways(args.single_events) {
                    say(format!(
                        "run {run} of {}, batches of {}",
                        args.runs, way.batch_max
                    ));
                    scene.measure(way, &instances, figures).await?;
                }
            }
        }
    }
    Ok(())
}
