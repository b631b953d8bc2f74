//! `sandbox bench`: measures throughput, latency, recovery, draining and load. The work is in the crate `bench`.

mod drain;
mod load;

use std::time::Duration;

use anyhow::{Result, bail};
use bench::figures::Figures;
use bench::latency::{self, Pace};
use bench::temporary_setting::{self, Change};
use bench::usage::{self, Sample};
use bench::{MOST_ORDERS, Scene, delivery, recovery, throughput, warmup};
use clap::{Args, Subcommand, ValueEnum, value_parser};
use kafka_admin::DeliveryMode;
use local_runtime::postgres::POSTGRES;
use serde_json::json;
use shared_events::Service;
use stack::Stack;
use stack::layout::StackLayout;
use stack::terminal::{Progress, Usage, note, say};
use tokio::time::sleep;

/// How long the idle processes are sampled.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The pause before that, in which earlier work ends.
const SETTLE_TIME: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ./sandbox bench saga\n  ./sandbox bench saga --delivery at-least-once --rate 200 --seconds 30 --json\n  ./sandbox bench recovery\n  ./sandbox bench drain\n  ./sandbox bench load\n\nNeeds a running shop (./sandbox up). All load is made on this machine and sent to this machine. Close other programs: the\nresults are only as good as the machine is idle. They are written to target/bench/."
)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Latency from POST to CONFIRMED, orders and sagas per second, processor time and memory
    #[command(after_help = "Example:  ./sandbox bench saga --delivery at-least-once --runs 5")]
    Saga(Saga),
    /// Time from kill -9 of inventory-service until it consumes again, with and without static membership
    #[command(after_help = "Example:  ./sandbox bench recovery --runs 5")]
    Recovery(Recovery),
    /// How fast inventory-service drains a backlog: single messages and batches, 1 and 3 members, both delivery modes
    #[command(after_help = "Example:  ./sandbox bench drain --runs 3")]
    Drain(drain::Drain),
    /// How many events a second load-generator produces, compared with Kafka's own producer-perf-test, and how well it keeps a rate
    #[command(after_help = "Example:  ./sandbox bench load --events 5000000")]
    Load(load::Load),
    /// Load until broker and services are warm: 30 s at least
    #[command(after_help = "Example:  ./sandbox bench warm")]
    Warm,
}

/// The amount of load.
#[derive(Debug, Clone, Args)]
struct Saga {
    /// Orders of a run at saturation
    #[arg(long, default_value_t = 20_000, value_parser = value_parser!(u64).range(100..=MOST_ORDERS))]
    orders: u64,

    /// Orders of the burst
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u64).range(100..=MOST_ORDERS))]
    burst: u64,

    /// Orders per second when latency is measured
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=5_000))]
    rate: u32,

    /// Seconds of the latency measurement
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=300))]
    seconds: u32,

    /// The number of runs, of which min, median and max are printed
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=20))]
    runs: u32,

    /// Restart the services with this delivery mode, and restore the old one afterwards [default: the present mode]
    #[arg(long, value_enum)]
    delivery: Option<DeliveryMode>,

    /// Do not warm up
    #[arg(long)]
    no_warm: bool,

    /// Print the JSON that is written to the file
    #[arg(long)]
    json: bool,
}

/// The number of runs.
#[derive(Debug, Clone, Args)]
struct Recovery {
    /// The number of kills for each kind of membership
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=20))]
    runs: u32,

    /// Print the JSON that is written to the file
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Bench, layout: &StackLayout) -> Result<()> {
    match args.what {
        What::Saga(saga) => run_saga(saga, layout).await,
        What::Recovery(recovery) => run_recovery(recovery, layout).await,
        What::Drain(args) => drain::run(args, layout).await,
        What::Load(args) => load::run(args, layout).await,
        What::Warm => {
            let scene = Scene::open(layout).await?;
            say(warmed(&scene).await?);
            Ok(())
        }
    }
}

async fn warmed(scene: &Scene) -> Result<String> {
    let warm = warmup::warm(scene).await?;
    let (seconds, ms) = (warm.after.as_secs(), warm.middle_ms);
    Ok(match warm.stable {
        true => format!("warm after {seconds} s: the median order takes {ms:.1} ms"),
        false => {
            format!(
                "not stable after {seconds} s (the median order took {ms:.1} ms at last): is the machine busy?"
            )
        }
    })
}

async fn run_saga(saga: Saga, layout: &StackLayout) -> Result<()> {
    if u64::from(saga.rate) * u64::from(saga.seconds) > MOST_ORDERS {
        return Err(Usage::error(format_args!(
            "--rate times --seconds must be at most {MOST_ORDERS} orders"
        )));
    }
    let mode = saga
        .delivery
        .as_ref()
        .and_then(ValueEnum::to_possible_value);
    let Some(mode) = mode else {
        return measure_saga(&saga, layout).await;
    };
    let change = Change {
        services: &Service::ALL,
        name: "DELIVERY",
        value: mode.get_name(),
    };
    temporary_setting::with(layout, change, measure_saga(&saga, layout)).await
}

async fn measure_saga(saga: &Saga, layout: &StackLayout) -> Result<()> {
    let stack = Stack::open(layout)?;
    let mode = delivery(layout)?;
    let load_before = usage::load()?;
    let mut figures = Figures::default();
    idle(&stack, &mut figures).await?;
    let scene = Scene::open(layout).await?;
    if !saga.no_warm {
        note(warmed(&scene).await?);
    }
    let pace = Pace {
        rate: saga.rate,
        orders: u64::from(saga.rate) * u64::from(saga.seconds),
    };
    for run in 1..=saga.runs {
        let progress = Progress::new("measuring");
        let step = |what: &str| progress.say(format!("run {run} of {}: {what}", saga.runs));
        step("latency");
        figures.add("load average before latency", "", usage::load()?);
        latency::measure(&scene, pace, &mut figures).await?;
        step("saturation");
        throughput::measure(&scene, &stack, saga.orders, &mut figures).await?;
        step("burst");
        throughput::burst(&scene, saga.burst, &mut figures).await?;
    }
    memory(&Sample::take(&stack)?, "after load", &mut figures);
    let name = format!("saga-{}", mode.replace(" / ", "-"));
    let conditions = json!({
        "delivery": mode,
        "runs": saga.runs,
        "rate": saga.rate,
        "seconds": saga.seconds,
        "orders": saga.orders,
        "warmed": !saga.no_warm,
        "loadAverageBefore": load_before,
    });
    figures.publish(layout, &name, &conditions, saga.json)?;
    Ok(())
}

/// Memory and processor time of an idle shop.
async fn idle(stack: &Stack<'_>, figures: &mut Figures) -> Result<()> {
    let _progress = Progress::new("sampling the idle shop");
    sleep(SETTLE_TIME).await;
    let before = Sample::take(stack)?;
    sleep(IDLE_TIME).await;
    let after = Sample::take(stack)?;
    for (name, seconds) in after.since(&before).by_process {
        if name != usage::OURSELVES {
            let share = 100.0 * seconds / IDLE_TIME.as_secs_f64();
            figures.add(format!("processor when idle: {name}"), "% of one", share);
        }
    }
    memory(&after, "when idle", figures);
    Ok(())
}

fn memory(sample: &Sample, when: &str, figures: &mut Figures) {
    for (name, bytes) in sample
        .memory()
        .filter(|(name, _)| *name != usage::OURSELVES)
    {
        // PostgreSQL is many processes, and the buffers that they share count once for each of them.
        let note = if name == POSTGRES {
            " (shared pages once a process)"
        } else {
            ""
        };
        figures.add(
            format!("memory {when}: {name}{note}"),
            "MB",
            bytes as f64 / 1e6,
        );
    }
}

async fn run_recovery(args: Recovery, layout: &StackLayout) -> Result<()> {
    let mut figures = Figures::default();
    let stack = Stack::open(layout)?;
    if stack.started_instances(Service::Inventory)?.is_empty() {
        bail!("inventory-service does not run: ./sandbox up");
    }
    let load_before = usage::load()?;
    for (value, membership) in [
        ("false", "dynamic membership"),
        ("true", "static membership"),
    ] {
        let change = Change {
            services: &[Service::Inventory],
            name: "STATIC_MEMBERSHIP",
            value,
        };
        let work = async {
            let scene = Scene::open(layout).await?;
            let progress = Progress::new("recovery");
            for run in 1..=args.runs {
                progress.say(format!("{membership}, kill {run} of {}", args.runs));
                recovery::measure(&scene, &stack, membership, &mut figures).await?;
            }
            Ok(())
        };
        temporary_setting::with(layout, change, work).await?;
    }
    let conditions = json!({
        "delivery": delivery(layout)?,
        "runs": args.runs,
        "loadAverageBefore": load_before,
    });
    figures.publish(layout, "recovery", &conditions, args.json)?;
    Ok(())
}
