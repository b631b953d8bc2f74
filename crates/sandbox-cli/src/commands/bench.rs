//! `sandbox bench`: how fast, on this machine, now.

mod drain;
mod load;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum, value_parser};
use local_runtime::postgres::POSTGRES;
use kafka_runtime::DeliveryMode;
use serde_json::json;
use shared_events::Service;
use tokio::time::sleep;

use bench::temporary_setting::{self, Change};
use bench::figures::Figures;
use bench::latency::{self, Pace};
use bench::usage::{self, Sample};
use bench::{MOST_ORDERS, Scene, delivery, recovery, throughput, warm};
use stack::sandbox::Sandbox;
use stack::Stack;
use stack::terminal::{Progress, Usage, note, say};

/// How long processes are watched doing nothing.
const REST: Duration = Duration::from_secs(10);

/// How long everybody gets to calm down before that.
const CALM: Duration = Duration::from_secs(3);

/// What to measure.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ./sandbox bench saga\n  ./sandbox bench saga --delivery at-least-once --rate 200 --seconds 30 --json\n  ./sandbox bench recovery\n  ./sandbox bench drain\n  ./sandbox bench load\n\nNeeds a running shop (./sandbox up). All load is made on this machine and for this machine. Close what else runs: figures are\nworth as much as the machine was quiet. They are written to target/bench/."
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
    /// How fast inventory-service takes events that wait for it: each message and batches, 1 and 3 members, both ways to settle
    #[command(after_help = "Example:  ./sandbox bench drain --runs 3")]
    Drain(drain::Drain),
    /// How many events a second load-generator gets into Kafka, beside Kafka's own producer-perf-test, and how well it keeps a rate
    #[command(after_help = "Example:  ./sandbox bench load --events 5000000")]
    Load(load::Load),
    /// Load until broker and services are at working temperature: 30 s at least
    #[command(after_help = "Example:  ./sandbox bench warm")]
    Warm,
}

/// How much of it.
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

    /// Seconds of that
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=300))]
    seconds: u32,

    /// How often everything is measured: min, median and max are of these
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=20))]
    runs: u32,

    /// Restart the services with this setting, and put it back afterwards [default: as they run]
    #[arg(long, value_enum)]
    delivery: Option<DeliveryMode>,

    /// Begin cold
    #[arg(long)]
    no_warm: bool,

    /// Print what is written to the file
    #[arg(long)]
    json: bool,
}

/// How often.
#[derive(Debug, Clone, Args)]
struct Recovery {
    /// Kills of each kind
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=20))]
    runs: u32,

    /// Print what is written to the file
    #[arg(long)]
    json: bool,
}

/// Measures.
pub async fn run(args: Bench, sandbox: &Sandbox) -> Result<()> {
    match args.what {
        What::Saga(saga) => run_saga(saga, sandbox).await,
        What::Recovery(recovery) => run_recovery(recovery, sandbox).await,
        What::Drain(args) => drain::run(args, sandbox).await,
        What::Load(args) => load::run(args, sandbox).await,
        What::Warm => {
            let scene = Scene::open(sandbox).await?;
            say(warmed(&scene).await?);
            Ok(())
        }
    }
}

async fn warmed(scene: &Scene) -> Result<String> {
    let warm = warm::warm(scene).await?;
    let (seconds, ms) = (warm.after.as_secs(), warm.middle_ms);
    Ok(match warm.stable {
        true => format!("warm after {seconds} s: the middle order takes {ms:.1} ms"),
        false => {
            format!(
                "not stable after {seconds} s (the last middle order took {ms:.1} ms): is the machine busy?"
            )
        }
    })
}

async fn run_saga(saga: Saga, sandbox: &Sandbox) -> Result<()> {
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
        return measure_saga(&saga, sandbox).await;
    };
    let change = Change {
        services: &Service::ALL,
        name: "DELIVERY",
        value: mode.get_name(),
    };
    changed::with(sandbox, change, measure_saga(&saga, sandbox)).await
}

async fn measure_saga(saga: &Saga, sandbox: &Sandbox) -> Result<()> {
    let stack = Stack::open(sandbox)?;
    let mode = delivery(sandbox)?;
    let load_before = usage::load()?;
    let mut figures = Figures::default();
    at_rest(&stack, &mut figures).await?;
    let scene = Scene::open(sandbox).await?;
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
    figures.publish(sandbox, &name, &conditions, saga.json)?;
    Ok(())
}

/// Memory and processor time of a shop with nothing to do.
async fn at_rest(stack: &Stack<'_>, figures: &mut Figures) -> Result<()> {
    let _progress = Progress::new("watching the shop at rest");
    sleep(CALM).await;
    let before = Sample::take(stack)?;
    sleep(REST).await;
    let after = Sample::take(stack)?;
    for (name, seconds) in after.since(&before).by_process {
        if name != usage::OURSELVES {
            let share = 100.0 * seconds / REST.as_secs_f64();
            figures.add(format!("processor at rest: {name}"), "% of one", share);
        }
    }
    memory(&after, "at rest", figures);
    Ok(())
}

fn memory(sample: &Sample, when: &str, figures: &mut Figures) {
    for (name, bytes) in sample
        .memory()
        .filter(|(name, _)| *name != usage::OURSELVES)
    {
        // PostgreSQL is many processes, and each counts the buffers that it shares with the others.
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

async fn run_recovery(args: Recovery, sandbox: &Sandbox) -> Result<()> {
    let mut figures = Figures::default();
    let stack = Stack::open(sandbox)?;
    if stack.known(Service::Inventory)?.is_empty() {
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
            let scene = Scene::open(sandbox).await?;
            let progress = Progress::new("recovery");
            for run in 1..=args.runs {
                progress.say(format!("{membership}, kill {run} of {}", args.runs));
                recovery::measure(&scene, &stack, membership, &mut figures).await?;
            }
            Ok(())
        };
        changed::with(sandbox, change, work).await?;
    }
    let conditions = json!({
        "delivery": delivery(sandbox)?,
        "runs": args.runs,
        "loadAverageBefore": load_before,
    });
    figures.publish(sandbox, "recovery", &conditions, args.json)?;
    Ok(())
}
