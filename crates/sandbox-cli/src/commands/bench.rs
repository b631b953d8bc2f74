//! `sandbox bench`: measures throughput, latency, recovery, draining and load. The work is in the crate `bench`.

mod audit;
mod drain;
mod load;

use std::time::Duration;

use anyhow::{Result, bail};
use bench::latency::{self, OpenLoop};
use bench::measurements::Measurements;
use bench::temporary_setting::{DELIVERY, SettingChange, with_setting};
use bench::usage::{self, UsageSample};
use bench::{MAX_ORDERS, SagaBench, delivery_modes, recovery, throughput, warmup};
use clap::{Args, Subcommand, ValueEnum};
use kafka_admin::DeliveryMode;
use local_runtime::postgres::POSTGRES;
use serde_json::json;
use service_kit::settings::whole_number;
use shared_events::Service;
use stack::Stack;
use stack::layout::StackLayout;
use stack::terminal::{Progress, Usage, note, say};
use tokio::time::sleep;

/// How long the idle processes are sampled.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The pause before the idle processes are sampled, in which earlier work ends.
const QUIET_TIME: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ./sandbox bench saga\n  ./sandbox bench saga --delivery at-least-once --rate 200 --seconds 30 --json\n  ./sandbox bench recovery\n  ./sandbox bench drain\n  ./sandbox bench load\n  ./sandbox bench audit\n\nNeeds a running shop (./sandbox up). All load is made on this machine and sent to this machine. Close other programs: the\nresults are only as good as the machine is idle. They are written to target/bench/."
)]
pub struct Bench {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
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
    /// How many orders a second `audit` checks, and its memory: audits what the running shop has
    #[command(
        after_help = "Example:  ./sandbox load burst --count 1000000 && ./sandbox audit --wait 30m && ./sandbox bench audit"
    )]
    Audit(audit::AuditBench),
    /// Load until broker and services are warm: 30 s at least
    #[command(after_help = "Example:  ./sandbox bench warm")]
    Warm,
}

/// The amount of load.
#[derive(Debug, Clone, Args)]
struct Saga {
    /// Orders of a run at saturation
    #[arg(long, default_value_t = 20_000, value_parser = whole_number::<u64>(100..=MAX_ORDERS))]
    orders: u64,

    /// Orders of the burst
    #[arg(long, default_value_t = 10_000, value_parser = whole_number::<u64>(100..=MAX_ORDERS))]
    burst: u64,

    /// Orders per second when latency is measured
    #[arg(long, default_value_t = 50, value_parser = whole_number::<u32>(1..=5_000))]
    rate: u32,

    /// Seconds of the latency measurement
    #[arg(long, default_value_t = 20, value_parser = whole_number::<u32>(1..=300))]
    seconds: u32,

    /// The number of runs, of which min, median and max are printed
    #[arg(long, default_value_t = 3, value_parser = whole_number::<u32>(1..=20))]
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
    #[arg(long, default_value_t = 3, value_parser = whole_number::<u32>(1..=20))]
    runs: u32,

    /// Print the JSON that is written to the file
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Bench, layout: &StackLayout) -> Result<()> {
    match args.verb {
        Verb::Saga(saga) => run_saga(saga, layout).await,
        Verb::Recovery(recovery) => run_recovery(recovery, layout).await,
        Verb::Drain(args) => drain::run(args, layout).await,
        Verb::Audit(args) => audit::run(args, layout).await,
        Verb::Load(args) => load::run(args, layout).await,
        Verb::Warm => {
            let bench = SagaBench::open(layout).await?;
            say(warm_up(&bench).await?);
            Ok(())
        }
    }
}

async fn warm_up(bench: &SagaBench) -> Result<String> {
    let outcome = warmup::warm_up(bench).await?;
    let (seconds, ms) = (outcome.elapsed.as_secs(), outcome.median_ms);
    Ok(match outcome.stable {
        true => format!("warm after {seconds} s: the median order takes {ms:.1} ms"),
        false => {
            format!(
                "not stable after {seconds} s (the median order took {ms:.1} ms at last): is the machine busy?"
            )
        }
    })
}

async fn run_saga(saga: Saga, layout: &StackLayout) -> Result<()> {
    if u64::from(saga.rate) * u64::from(saga.seconds) > MAX_ORDERS {
        return Err(Usage::error(format_args!(
            "--rate times --seconds must be at most {MAX_ORDERS} orders"
        )));
    }
    let mode = saga
        .delivery
        .as_ref()
        .and_then(ValueEnum::to_possible_value);
    let Some(mode) = mode else {
        return measure_saga(&saga, layout).await;
    };
    let change = SettingChange {
        services: &Service::ALL,
        name: DELIVERY,
        value: mode.get_name(),
    };
    with_setting(layout, change, measure_saga(&saga, layout)).await
}

async fn measure_saga(saga: &Saga, layout: &StackLayout) -> Result<()> {
    let stack = Stack::open(layout)?;
    let mode = delivery_modes(layout)?;
    let load_before = usage::load_average()?;
    let mut measurements = Measurements::default();
    idle(&stack, &mut measurements).await?;
    let bench = SagaBench::open(layout).await?;
    if !saga.no_warm {
        note(warm_up(&bench).await?);
    }
    let load = OpenLoop {
        rate: saga.rate,
        orders: u64::from(saga.rate) * u64::from(saga.seconds),
    };
    for run in 1..=saga.runs {
        let progress = Progress::new("measuring");
        let step = |what: &str| progress.say(format!("run {run} of {}: {what}", saga.runs));
        step("latency");
        measurements.add("load average before latency", "", usage::load_average()?);
        latency::measure(&bench, load, &mut measurements).await?;
        step("saturation");
        throughput::measure(&bench, &stack, saga.orders, &mut measurements).await?;
        step("burst");
        throughput::burst(&bench, saga.burst, &mut measurements).await?;
    }
    memory(&UsageSample::take(&stack)?, "after load", &mut measurements);
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
    measurements.publish(layout, &name, &conditions, saga.json)?;
    Ok(())
}

/// Memory and processor time of an idle shop.
async fn idle(stack: &Stack<'_>, measurements: &mut Measurements) -> Result<()> {
    let _progress = Progress::new("sampling the idle shop");
    sleep(QUIET_TIME).await;
    let before = UsageSample::take(stack)?;
    sleep(IDLE_TIME).await;
    let after = UsageSample::take(stack)?;
    for (name, seconds) in after.since(&before).by_process {
        if name != usage::THIS_PROGRAM {
            let share = 100.0 * seconds / IDLE_TIME.as_secs_f64();
            measurements.add(format!("processor when idle: {name}"), "% of one", share);
        }
    }
    memory(&after, "when idle", measurements);
    Ok(())
}

fn memory(sample: &UsageSample, when: &str, measurements: &mut Measurements) {
    for (name, bytes) in sample
        .memory()
        .filter(|(name, _)| *name != usage::THIS_PROGRAM)
    {
        // PostgreSQL has a process for each connection. A shared page counts once for each process.
        let note = if name == POSTGRES {
            " (shared pages once a process)"
        } else {
            ""
        };
        measurements.add(
            format!("memory {when}: {name}{note}"),
            "MB",
            bytes as f64 / 1e6,
        );
    }
}

async fn run_recovery(args: Recovery, layout: &StackLayout) -> Result<()> {
    let mut measurements = Measurements::default();
    let stack = Stack::open(layout)?;
    if stack.started_instances(Service::Inventory)?.is_empty() {
        bail!("inventory-service does not run: ./sandbox up");
    }
    let load_before = usage::load_average()?;
    for (value, membership) in [
        ("false", "dynamic membership"),
        ("true", "static membership"),
    ] {
        let change = SettingChange {
            services: &[Service::Inventory],
            name: "STATIC_MEMBERSHIP",
            value,
        };
        let work = async {
            let bench = SagaBench::open(layout).await?;
            let progress = Progress::new("recovery");
            for run in 1..=args.runs {
                progress.say(format!("{membership}, kill {run} of {}", args.runs));
                recovery::measure(&bench, &stack, membership, &mut measurements).await?;
            }
            Ok(())
        };
        with_setting(layout, change, work).await?;
    }
    let conditions = json!({
        "delivery": delivery_modes(layout)?,
        "runs": args.runs,
        "loadAverageBefore": load_before,
    });
    measurements.publish(layout, "recovery", &conditions, args.json)?;
    Ok(())
}
