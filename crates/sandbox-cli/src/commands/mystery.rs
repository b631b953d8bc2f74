//! `sandbox mystery`: causes a fault without its name, gives hints, and looks whether it is repaired. The list
//! is in the crate `faults`.
//!
//! A mystery is recorded from before its fault is caused until the fault is undone. The file, the process in
//! the background and its log have the name of the mystery, so that no player meets that of the fault.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use faults::broken::{self, BrokenFault, BrokenFaults};
use faults::mystery::{self, Level, Mystery};
use faults::mystery_state::{self, RunningMystery};
use service_kit::settings::whole_number;
use stack::layout::StackLayout;
use stack::terminal::{Progress, Table, Usage, note, say};

use super::fault_commands::{run_all, shows, until_shows};
use super::mystery_health;

/// What a player can type next.
const NEXT: &str = "\nFind out what it is, and repair it. Every command of ./sandbox --help is allowed but break and repair.\n  ./sandbox mystery check       is it repaired?\n  ./sandbox mystery hint        three of them, each is counted\n  ./sandbox mystery give-up     repairs and explains it\nWhere to begin: ./sandbox status, docs/on-call.md";

/// Which mystery, or what to do with the one that runs.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  ./sandbox mystery                    any of them\n  ./sandbox mystery --level easy\n  ./sandbox mystery --seed 7           the same as everyone else with this seed\n  ./sandbox mystery tea-break          this one\n  ./sandbox mystery hint\n  ./sandbox mystery check\n\nOne thing breaks, and a customer complains. docs/mystery.md has the rules."
)]
pub struct MysteryArgs {
    #[command(subcommand)]
    verb: Option<Verb>,

    #[command(flatten)]
    choice: Choice,
}

/// One mystery.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// This one of `mystery list`; without a name, any
    #[arg(value_name = "NAME|NUMBER", conflicts_with_all = ["seed", "level"], value_parser = named)]
    mystery: Option<&'static Mystery>,

    /// Repeat a choice: the same number chooses the same mystery
    #[arg(long, value_name = "N", value_parser = whole_number::<u32>(0..=i64::from(u32::MAX)))]
    seed: Option<u32>,

    /// Only those of this level
    #[arg(long, value_parser = level())]
    level: Option<Level>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the names, each with its level
    List,
    /// Repeat the complaint
    Complaint,
    /// Show one more of the three hints
    Hint,
    /// Find out whether the shop works, and the cause is repaired, by whatever means
    Check,
    /// Repair it, and explain it
    GiveUp,
    /// Print the texts and commands of one mystery for the scripts of Docker mode
    #[command(hide = true)]
    Plan(Choice),
    /// Fail if the shop does not work; print how many orders have not ended
    #[command(hide = true)]
    Health {
        /// The most that may be left
        #[arg(long, value_name = "ORDERS")]
        unended: Option<i64>,
    },
}

fn named(name: &str) -> Result<&'static Mystery, String> {
    mystery::find(name).ok_or_else(|| "must be one of ./sandbox mystery list".to_owned())
}

fn level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(Level::ALL.map(Level::name)).try_map(|name| {
        let found = Level::ALL.into_iter().find(|level| level.name() == name);
        found.ok_or("must be easy, medium or hard")
    })
}

impl Choice {
    fn choose(&self) -> Result<&'static Mystery> {
        if let Some(mystery) = self.mystery {
            return Ok(mystery);
        }
        let seed = match self.seed {
            Some(seed) => u64::from(seed),
            None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        mystery::choose(self.level, seed).context("there is no mystery of this level")
    }
}

/// Begins a mystery, or goes on with it.
pub async fn run(args: MysteryArgs, layout: &StackLayout) -> Result<()> {
    match args.verb {
        Some(Verb::List) => list(),
        Some(Verb::Plan(choice)) => plan(choice.choose()?)?,
        Some(Verb::Health { unended }) => say(mystery_health::check(layout, unended).await?),
        None => {
            layout.host_or_container().require_host("mystery")?;
            begin(&args.choice, layout).await?;
        }
        Some(Verb::Complaint) => say(running(layout)?.0.complaint),
        Some(Verb::Hint) => hint(layout)?,
        Some(Verb::Check) => check(layout).await?,
        Some(Verb::GiveUp) => give_up(layout).await?,
    }
    Ok(())
}

fn list() {
    let mut table = Table::new(&["number", "mystery", "level"]);
    for (number, one) in (1..).zip(mystery::all()) {
        table.row([number.to_string().as_str(), one.name, one.level.name()]);
    }
    say(table);
}

/// Refuses a command that would name the fault of the mystery that runs, or repair it.
pub fn refuse_while_running(layout: &StackLayout) -> Result<()> {
    match RunningMystery::load(layout.home())? {
        None => Ok(()),
        Some(running) => Err(Usage::error(format_args!(
            "the mystery {} runs: repair it by other means, or ./sandbox mystery give-up",
            running.name
        ))),
    }
}

/// Undoes the fault of the mystery that runs, if any, and forgets the mystery: before everything is emptied.
pub async fn end_before_reset(layout: &StackLayout) -> Result<()> {
    if let Ok((mystery, _)) = running(layout) {
        note(format_args!("the mystery {} is given up", mystery.name));
        if let Err(error) = run_all(&mystery.undo()?).await {
            note(format_args!("{error:#}"));
        }
    }
    mystery_state::forget(layout.home())
}

fn running(layout: &StackLayout) -> Result<(&'static Mystery, RunningMystery)> {
    let running = RunningMystery::load(layout.home())?
        .ok_or_else(|| Usage::error("no mystery runs: ./sandbox mystery begins one"))?;
    let mystery = mystery::find(&running.name).with_context(|| {
        format!(
            "the mystery {} is of another version: ./sandbox reset",
            running.name
        )
    })?;
    Ok((mystery, running))
}

async fn begin(choice: &Choice, layout: &StackLayout) -> Result<()> {
    let home = layout.home();
    if !home.exists() {
        bail!("nothing runs: ./sandbox up");
    }
    let _lock = broken::lock(home).await?;
    if let Some(running) = RunningMystery::load(home)? {
        return Err(Usage::error(format_args!(
            "the mystery {} runs: ./sandbox mystery hint, check or give-up",
            running.name
        )));
    }
    if !BrokenFaults::load(home)?.faults.is_empty() {
        return Err(Usage::error(
            "something is broken on purpose: ./sandbox repair, then begin",
        ));
    }
    let mystery = choice.choose()?;
    let unended = {
        let _progress = Progress::new("looking whether the shop works");
        mystery_health::check(layout, None)
            .await
            .context("the shop must work before a mystery begins, see ./sandbox status")?
    };
    let (fault, check) = (mystery.fault()?, mystery.check_command()?);
    if shows(fault, &check, layout).await {
        bail!("the shop is not as ./sandbox up leaves it: ./sandbox reset, then begin");
    }
    let since = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    RunningMystery::new(mystery.name, since, unended).save(home)?;
    let caused = {
        let _progress = Progress::new("customers begin to order");
        let caused = run_all(&mystery.cause()?).await;
        let seen = caused.is_ok() && until_shows(fault, &check, layout, true).await;
        let customers = mystery.customers();
        for command in customers.iter().filter(|_| seen) {
            // In a shop that is broken, some orders are refused.
            let _may_fail = run_all(&[command]).await;
        }
        caused.and(seen.then_some(()).context("nothing shows"))
    };
    if let Err(error) = caused {
        run_all(&mystery.undo()?)
            .await
            .context("a mystery was begun in part: ./sandbox mystery give-up")?;
        mystery_state::forget(home)?;
        return Err(error.context("no mystery could be begun"));
    }
    say(format_args!("Mystery {}\n", mystery.name));
    say(mystery.complaint);
    say(NEXT);
    Ok(())
}

/// Prints all hints so far, and one more.
fn hint(layout: &StackLayout) -> Result<()> {
    let (mystery, mut running) = running(layout)?;
    if running.hints < mystery.hints.len() {
        running.hints += 1;
        running.save(layout.home())?;
    }
    for (number, hint) in (1..=running.hints).zip(mystery.hints) {
        say(format_args!("Hint {number} of 3: {hint}"));
    }
    Ok(())
}

async fn check(layout: &StackLayout) -> Result<()> {
    let home = layout.home();
    let _lock = broken::lock(home).await?;
    let (mystery, running) = running(layout)?;
    {
        let _progress = Progress::new("placing orders, and waiting until everything is caught up");
        mystery_health::check(layout, Some(running.unended_orders))
            .await
            .context("not solved")?;
    }
    let (fault, check) = (mystery.fault()?, mystery.check_command()?);
    if mystery.sees_every_repair && shows(fault, &check, layout).await {
        bail!("not solved: the shop works at this moment, and the cause is still there");
    }
    // It has nothing left to hold. Undoing all of the fault would change what the player has repaired, offsets for example.
    run_all(&mystery.stop_background()?)
        .await
        .context("solved, but a process of the mystery could not be ended: ./sandbox mystery check tries again")?;
    mystery_state::forget(home)?;
    end(mystery, &running, "solved")
}

async fn give_up(layout: &StackLayout) -> Result<()> {
    let home = layout.home();
    let _lock = broken::lock(home).await?;
    let (mystery, running) = running(layout)?;
    let (fault, check) = (mystery.fault()?, mystery.check_command()?);
    let undone = {
        let _progress = Progress::new("repairing");
        match run_all(&mystery.undo()?).await {
            Ok(()) if until_shows(fault, &check, layout, false).await => Ok(()),
            Ok(()) => Err(anyhow::anyhow!("it is still there")),
            Err(error) => Err(error),
        }
    };
    if undone.is_err() {
        // From here on it is a fault like any other, whose process has the name of the fault.
        let _may_fail = run_all(&[format!("-fault stop {}", mystery.name)]).await;
        let record = BrokenFault {
            name: fault.name.to_owned(),
            since: running.since.clone(),
        };
        BrokenFaults::load(home)?.add(home, record)?;
    }
    mystery_state::forget(home)?;
    end(mystery, &running, "given up")?;
    undone.with_context(|| {
        format!(
            "{} is not repaired yet: ./sandbox repair {}",
            fault.name, fault.name
        )
    })
}

/// The card and the answer.
fn end(mystery: &Mystery, running: &RunningMystery, result: &str) -> Result<()> {
    let since = DateTime::parse_from_rfc3339(&running.since)
        .context("the record of the mystery has no valid time")?;
    let minutes = (Utc::now() - since.to_utc()).num_minutes();
    let hints = format!("{} of {}", running.hints, mystery.hints.len());
    let [minutes, name, level] = [&minutes.to_string(), mystery.name, mystery.level.name()];
    let mut table = Table::new(&["mystery", "level", "result", "minutes", "hints"]);
    table.row([name, level, result, minutes, &hints]);
    say(table);
    say(format_args!("\n{}", mystery.explanation()?.join("\n")));
    Ok(())
}

/// One line for each word that follows: what it is, then the text.
fn plan(mystery: &Mystery) -> Result<()> {
    let mut lines = vec![
        format!("name {}", mystery.name),
        format!("level {}", mystery.level.name()),
        format!("fault {}", mystery.fault()?.name),
        format!("check {}", mystery.check_command()?),
        format!("sees-every-repair {}", mystery.sees_every_repair),
        format!("complaint {}", mystery.complaint),
    ];
    let (cause, undo) = (mystery.cause()?, mystery.undo()?);
    let (customers, explanation) = (mystery.customers(), mystery.explanation()?);
    lines.extend(cause.iter().map(|one| format!("cause {one}")));
    lines.extend(customers.iter().map(|one| format!("customers -{one}")));
    lines.extend(undo.iter().map(|one| format!("undo {one}")));
    lines.extend(mystery.hints.map(|one| format!("hint {one}")));
    lines.extend(explanation.iter().map(|one| format!("explanation {one}")));
    lines.extend(NEXT.lines().map(|one| format!("next {one}")));
    say(lines.join("\n"));
    Ok(())
}
