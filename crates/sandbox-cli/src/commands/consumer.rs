//! `sandbox consumer`: sets the controls of a service's group: slow, fast, paused. A record in `sandbox.controls` sets them for
//! all members, those that start later included; a request to `/config` sets them for one member.

mod apply;

use anyhow::{Result, bail};
use chrono::Utc;
use futures::future::try_join_all;
use kafka_admin::member_controls::EffectiveConfig;
use serde_json::{Map, json};
use service_kit::settings::whole_number;
use shared_events::controls::{
    BATCH_MAX_MAX, PROCESSING_TIME_MS_MAX, PROCESSING_TIME_MS_UNSAFE_MAX,
};
use shared_events::{CrashAt, GroupControls, OrNone, Protection, Service};
use stack::layout::{Instance, StackLayout};
use stack::process_name;
use stack::shop_client::ShopClient;
use stack::target::Target;
use stack::terminal::{Table, say};

use self::apply::{clear, set};

/// The controls and the members.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox consumer slow inventory-service                    2 s of simulated work for each message\n  ./sandbox consumer set inventory-service --batch-max 100     keeps the other controls\n  ./sandbox consumer pause inventory-service.2                 this instance alone\n  ./sandbox consumer clear inventory-service                   back to the defaults\n  ./sandbox consumer set inventory-service --crash-at effect-committed:3\n  ./sandbox consumer show inventory-service\n\nWithout .SLOT the controls are set for the whole group, members that start later included: by a record in the compacted topic\nsandbox.controls. New values are merged into that record; clear removes it, and the controls of single instances, too.\nA positive time without --batch-max sets batches of one message (batch_max 1), a time of 0 sets batches of 500 again.\nA paused member stays in its group and keeps its partitions, whose records wait. Resume also continues a member that the poison\nlimit stopped.\nFaults (--crash-at, --protection-off, more than 30 s of work) need services that run with SANDBOX_UNSAFE=1:\n./sandbox restart inventory-service --set SANDBOX_UNSAFE=1"
)]
pub struct Consumer {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Simulate long work for each message
    Slow(Slow),
    /// Simulate short work for each message
    Fast(Fast),
    /// Read no more records
    Pause(Members),
    /// Read records again
    Resume(Members),
    /// Set any control
    Set(Set),
    /// Set all controls back to the defaults
    Clear(Group),
    /// Show the effective configuration of each running member, with the source of each value
    Show(Show),
}

/// One group or one member.
#[derive(Debug, clap::Args)]
pub struct Members {
    /// All members of a service's group, or one running instance
    #[arg(value_name = "SERVICE[.SLOT]")]
    pub target: Target,
}

/// One group.
#[derive(Debug, clap::Args)]
pub struct Group {
    /// The service; the controls of single instances are cleared, too
    pub service: Service,
}

/// The members and their speed.
#[derive(Debug, clap::Args)]
pub struct Slow {
    #[command(flatten)]
    pub members: Members,

    /// Simulated work for each message, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = whole_number::<u32>(0..=i64::from(PROCESSING_TIME_MS_MAX)))]
    pub time_ms: u32,
}

/// The members and their speed.
#[derive(Debug, clap::Args)]
pub struct Fast {
    #[command(flatten)]
    pub members: Members,

    /// Simulated work for each message, in milliseconds
    #[arg(long, default_value_t = 50, value_parser = whole_number::<u32>(0..=i64::from(PROCESSING_TIME_MS_MAX)))]
    pub time_ms: u32,
}

/// The members and their controls.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["processing_time_ms", "batch_max", "paused", "crash_at", "protection_off"])))]
pub struct Set {
    #[command(flatten)]
    pub members: Members,

    /// Simulated work for each batch, in milliseconds; more than 30000 needs SANDBOX_UNSAFE=1
    #[arg(long, value_parser = whole_number::<u32>(0..=i64::from(PROCESSING_TIME_MS_UNSAFE_MAX)))]
    pub processing_time_ms: Option<u32>,

    /// The highest number of records in a batch; 1 means one message at a time
    #[arg(long, value_parser = whole_number::<u32>(1..=i64::from(BATCH_MAX_MAX)))]
    pub batch_max: Option<u32>,

    /// Whether to read no records
    #[arg(long)]
    pub paused: Option<bool>,

    /// Kill each process at this point of docs/failure-modes.md, once: POINT or POINT:n for the n-th pass; none ends it
    #[arg(long, value_name = "POINT[:n]")]
    pub crash_at: Option<OrNone<CrashAt>>,

    /// With --crash-at: processes that start later die too, so a restarted one dies again
    #[arg(long, requires = "crash_at")]
    pub crash_at_repeat: bool,

    /// Switch off one protection of docs/failure-modes.md; none ends it
    #[arg(long, value_name = "PROTECTION")]
    pub protection_off: Option<OrNone<Protection>>,
}

/// The service and the form of the output.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The service
    pub service: Service,

    /// Print JSON: an object with the response of each instance's /config
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: Consumer, layout: &StackLayout) -> Result<()> {
    let work = |time_ms| GroupControls {
        processing_time_ms: Some(time_ms),
        ..GroupControls::default()
    };
    let pause = |paused| GroupControls {
        paused: Some(paused),
        ..GroupControls::default()
    };
    match args.verb {
        Verb::Slow(Slow { members, time_ms }) => set(members.target, work(time_ms), layout).await,
        Verb::Fast(Fast { members, time_ms }) => set(members.target, work(time_ms), layout).await,
        Verb::Pause(members) => set(members.target, pause(true), layout).await,
        Verb::Resume(members) => set(members.target, pause(false), layout).await,
        Verb::Set(args) => {
            let controls = GroupControls {
                processing_time_ms: args.processing_time_ms,
                batch_max: args.batch_max,
                paused: args.paused,
                crash_at: args.crash_at,
                crash_at_repeat: args.crash_at_repeat.then_some(true),
                crash_at_since: args.crash_at.map(|_| Utc::now()),
                protection_off: args.protection_off,
            };
            set(args.members.target, controls, layout).await
        }
        Verb::Clear(Group { service }) => clear(service, layout).await,
        Verb::Show(args) => show(args, layout).await,
    }
}

/// The effective configuration of each instance.
async fn configs<'i>(
    shop: &ShopClient<'_>,
    running: &'i [Instance],
) -> Result<Vec<(&'i Instance, EffectiveConfig)>> {
    let asked = running
        .iter()
        .map(async |instance| anyhow::Ok((instance, shop.controls(instance).await?)));
    try_join_all(asked).await
}

fn name(instance: &Instance) -> String {
    process_name(instance.workload, instance.slot)
}

async fn show(args: Show, layout: &StackLayout) -> Result<()> {
    let running = layout.instances(args.service).await?;
    let configs = configs(&ShopClient::new(layout)?, &running).await?;
    if args.json {
        let mut all = Map::new();
        for (instance, config) in &configs {
            all.insert(name(instance), json!(config));
        }
        say(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if configs.is_empty() {
        bail!(
            "no instance of {} runs: ./sandbox up starts it",
            args.service
        );
    }
    let mut table = Table::new(&[
        "member",
        "processing_time_ms",
        "batch_max",
        "paused",
        "crash_at",
        "protection_off",
    ]);
    for (instance, config) in configs {
        let from = config.sources;
        table.row([
            name(instance),
            format!(
                "{} ({})",
                config.processing_time_ms, from.processing_time_ms
            ),
            format!("{} ({})", config.batch_max, from.batch_max),
            format!("{} ({})", config.paused, from.paused),
            format!("{} ({})", config.crash_at, from.crash_at),
            format!("{} ({})", config.protection_off, from.protection_off),
        ]);
    }
    say(table);
    Ok(())
}
