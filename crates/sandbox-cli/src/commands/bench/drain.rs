//! `sandbox bench drain`

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, value_parser};
use serde_json::json;

use bench::drain::{FEW, Scene, Way};
use bench::figures::Figures;
use bench::{MOST_ORDERS, cast, usage};
use stack::sandbox::Sandbox;
use stack::terminal::Progress;

/// How services settle, the dearer way first.
const DELIVERIES: [&str; 2] = ["exactly-once", "at-least-once"];

/// How many members drain: one, and one for each partition.
const MEMBERS: [u32; 2] = [1, 3];

/// Records of a batch, where batches are measured: the default of every service.
const BATCH: u32 = 500;

/// How long a broker takes to its working temperature. New members are warmed up once each besides.
const WARM: Duration = Duration::from_secs(30);

/// Most events of a warm-up of members that take one at a time.
const WARM_SINGLES: u64 = 2_000;

/// How much of it.
#[derive(Debug, Clone, Args)]
pub(super) struct Drain {
    /// Events that wait for batches
    #[arg(long, default_value_t = MOST_ORDERS, value_parser = value_parser!(u64).range(FEW..=MOST_ORDERS))]
    events: u64,

    /// Events that wait for members that take one at a time, some hundred a second. Below 10000 nothing is said of a plain
    /// consumer, which takes so few at one go
    #[arg(long, default_value_t = FEW, value_parser = value_parser!(u64).range(100..=MOST_ORDERS))]
    single_events: u64,

    /// Only this way to settle [default: both]
    #[arg(long, value_parser = PossibleValuesParser::new(DELIVERIES))]
    delivery: Option<String>,

    /// Begin cold
    #[arg(long)]
    no_warm: bool,

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
        "warmed": !args.no_warm,
        "loadAverageBefore": load_before,
    });
    figures.publish(sandbox, "drain", &conditions, args.json)?;
    Ok(())
}

async fn measure(args: &Drain, sandbox: &Sandbox, figures: &mut Figures) -> Result<()> {
    let scene = Scene::open(sandbox)?;
    let progress = Progress::new("drain");
    let begun = Instant::now();
    let wanted = args.delivery.as_deref();
    for delivery in DELIVERIES {
        if wanted.is_some_and(|wanted| wanted != delivery) {
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
            let instances = cast::inventory(sandbox, members, delivery).await?;
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
