//! `sandbox consumer`: makes the members of a service's group slow or fast, pauses and resumes them. All of them, and those that
//! start later, by the service's record in `sandbox.controls`; one of them by its own HTTP interface.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use kafka_admin::Cluster;
use kafka_runtime::controls::{InForce, Source};
use serde_json::{Map, json};
use shared_events::controls::{BATCH_MAX_MAX, PROCESSING_TIME_MS_MAX};
use shared_events::{GroupControls, Service};

use scenario_runner::conditions::controls::shown;
use scenario_runner::conditions::{Seen, until};
use scenario_runner::probes::instances;
use stack::sandbox::{Instance, Sandbox};
use stack::shop_client::Shop;
use stack::process_name;
use stack::target::Target;
use stack::terminal::{Table, note, say};

/// How long the members may take to show what they were told.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// What to ask of which members.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox consumer slow inventory-service                    2 s of simulated work for each message\n  ./sandbox consumer set inventory-service --batch-max 100     besides what was told before\n  ./sandbox consumer pause inventory-service.2                 this one alone\n  ./sandbox consumer clear inventory-service                   back to the defaults\n  ./sandbox consumer show inventory-service\n\nWithout .SLOT all members of the group are told, also those that start later: by a record in the compacted topic sandbox.controls.\nIt is merged into what they were told before; clear takes it all back, with what single instances were told.\nA positive time without --batch-max means each message for itself (batch_max 1), a time of 0 means batches of 500 again.\nA paused member stays in its group and keeps its partitions: they wait. Resuming also goes on after the poison limit."
)]
pub struct Consumer {
    /// What.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What members can be asked.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Work long on each message
    Slow(Slow),
    /// Work a short time on each message
    Fast(Fast),
    /// Take no more records
    Pause(Whom),
    /// Take records again
    Resume(Whom),
    /// Set any of it
    Set(Set),
    /// Take back all that they were told
    Clear(All),
    /// Show what holds for each running member, and who says so
    Show(Show),
}

/// Which members.
#[derive(Debug, clap::Args)]
pub struct Whom {
    /// All members of a service's group, or one running instance
    #[arg(value_name = "SERVICE[.SLOT]")]
    pub target: Target,
}

/// All members.
#[derive(Debug, clap::Args)]
pub struct All {
    /// The service; what one instance was told goes with what its group was told
    pub service: Service,
}

/// How slow.
#[derive(Debug, clap::Args)]
pub struct Slow {
    /// Whom.
    #[command(flatten)]
    pub whom: Whom,

    /// Simulated work for each message, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(0..=i64::from(PROCESSING_TIME_MS_MAX)))]
    pub time_ms: u32,
}

/// How fast.
#[derive(Debug, clap::Args)]
pub struct Fast {
    /// Whom.
    #[command(flatten)]
    pub whom: Whom,

    /// Simulated work for each message, in milliseconds
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=i64::from(PROCESSING_TIME_MS_MAX)))]
    pub time_ms: u32,
}

/// What to set.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["processing_time_ms", "batch_max", "paused"])))]
pub struct Set {
    /// Whom.
    #[command(flatten)]
    pub whom: Whom,

    /// Simulated work for each batch, in milliseconds
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=i64::from(PROCESSING_TIME_MS_MAX)))]
    pub processing_time_ms: Option<u32>,

    /// Most records of a batch; 1 is "each message"
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(BATCH_MAX_MAX)))]
    pub batch_max: Option<u32>,

    /// Whether to take no records
    #[arg(long)]
    pub paused: Option<bool>,
}

/// How to show it.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The service
    pub service: Service,

    /// Print JSON: an object with what /config of each instance says
    #[arg(long)]
    pub json: bool,
}

/// Does it.
pub async fn run(args: Consumer, sandbox: &Sandbox) -> Result<()> {
    let work = |time_ms| GroupControls {
        processing_time_ms: Some(time_ms),
        ..GroupControls::default()
    };
    let pause = |paused| GroupControls {
        paused: Some(paused),
        ..GroupControls::default()
    };
    match args.verb {
        Verb::Slow(Slow { whom, time_ms }) => tell(whom.target, work(time_ms), sandbox).await,
        Verb::Fast(Fast { whom, time_ms }) => tell(whom.target, work(time_ms), sandbox).await,
        Verb::Pause(whom) => tell(whom.target, pause(true), sandbox).await,
        Verb::Resume(whom) => tell(whom.target, pause(false), sandbox).await,
        Verb::Set(set) => {
            let wanted = GroupControls {
                processing_time_ms: set.processing_time_ms,
                batch_max: set.batch_max,
                paused: set.paused,
            };
            tell(set.whom.target, wanted, sandbox).await
        }
        Verb::Clear(All { service }) => clear(service, sandbox).await,
        Verb::Show(args) => show(args, sandbox).await,
    }
}

async fn tell(target: Target, wanted: GroupControls, sandbox: &Sandbox) -> Result<()> {
    match target.slot {
        Some(_) => tell_one(target, &wanted, sandbox).await,
        None => tell_all(target.of, wanted, sandbox).await,
    }
}

async fn tell_one(target: Target, wanted: &GroupControls, sandbox: &Sandbox) -> Result<()> {
    let running = instances(sandbox, target).await?;
    let Some(instance) = running.first() else {
        bail!("{target} does not run: ./sandbox up starts it");
    };
    let told = Shop::new(sandbox)?.set_controls(instance, wanted).await?;
    say(format_args!("{target}  {}", shown(&told)));
    Ok(())
}

async fn tell_all(service: Service, wanted: GroupControls, sandbox: &Sandbox) -> Result<()> {
    let cluster = Cluster::new(&sandbox.kafka())?;
    let before = cluster.controls(service).await?.unwrap_or_default();
    let told = before.merged(wanted.clone());
    cluster.set_controls(service, &told).await?;
    let wanted = wanted.with_implied_batch_max();
    until_shown(service, sandbox, |held| {
        let from = &held.sources;
        wanted.processing_time_ms.is_none_or(|time| {
            (time, Source::Group) == (held.processing_time_ms, from.processing_time_ms)
        }) && wanted
            .batch_max
            .is_none_or(|most| (most, Source::Group) == (held.batch_max, from.batch_max))
            && wanted
                .paused
                .is_none_or(|paused| (paused, Source::Group) == (held.paused, from.paused))
    })
    .await
}

async fn clear(service: Service, sandbox: &Sandbox) -> Result<()> {
    let cluster = Cluster::new(&sandbox.kafka())?;
    cluster.clear_controls(service).await?;
    until_shown(service, sandbox, |held| {
        let from = &held.sources;
        [from.processing_time_ms, from.batch_max, from.paused]
            .iter()
            .all(|source| matches!(source, Source::Default | Source::Environment))
    })
    .await
}

/// Waits until every running instance shows it, and prints a line for each.
async fn until_shown(
    service: Service,
    sandbox: &Sandbox,
    is: impl Fn(&InForce) -> bool,
) -> Result<()> {
    let shop = Shop::new(sandbox)?;
    let running = sandbox.instances(service).await?;
    if running.is_empty() {
        note(format_args!(
            "no instance of {service} runs; those that start will be told"
        ));
        return Ok(());
    }
    let look = async || {
        let held = held(&shop, &running).await?;
        let lines: Vec<String> = held
            .iter()
            .map(|(instance, held)| format!("{}  {}", name(instance), shown(held)))
            .collect();
        let all = held.iter().all(|(_, held)| is(held));
        Ok(Seen::judge(all, lines.join("\n")))
    };
    let lines = until(SHOWN_WITHIN, look)
        .await
        .context("it was told, but not every instance shows it")?;
    say(lines);
    Ok(())
}

/// What holds for each of them.
async fn held<'i>(
    shop: &Shop<'_>,
    running: &'i [Instance],
) -> Result<Vec<(&'i Instance, InForce)>> {
    let asked = running
        .iter()
        .map(async |instance| anyhow::Ok((instance, shop.controls(instance).await?)));
    try_join_all(asked).await
}

fn name(instance: &Instance) -> String {
    process_name(instance.workload, instance.slot)
}

async fn show(args: Show, sandbox: &Sandbox) -> Result<()> {
    let running = sandbox.instances(args.service).await?;
    let held = held(&Shop::new(sandbox)?, &running).await?;
    if args.json {
        let mut all = Map::new();
        for (instance, held) in &held {
            all.insert(name(instance), json!(held));
        }
        say(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if held.is_empty() {
        bail!(
            "no instance of {} runs: ./sandbox up starts it",
            args.service
        );
    }
    let mut table = Table::new(&["member", "processing_time_ms", "batch_max", "paused"]);
    for (instance, held) in held {
        let from = held.sources;
        table.row([
            name(instance),
            format!("{} ({})", held.processing_time_ms, from.processing_time_ms),
            format!("{} ({})", held.batch_max, from.batch_max),
            format!("{} ({})", held.paused, from.paused),
        ]);
    }
    say(table);
    Ok(())
}
