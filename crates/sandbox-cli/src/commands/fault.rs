//! `sandbox fault`: the parts of a fault that no other command does. `break` and `repair` call it, and
//! in Docker mode so do the scripts in `docker/`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use faults::{Check, Fault, Modes, find, mystery};
use local_runtime::kafka::KAFKA;
use local_runtime::process::Program;
use stack::Stack;
use stack::layout::StackLayout;
use stack::stop::BACKGROUND_PROCESS;
use stack::terminal::{Usage, say};

/// How long a process in the background may take to end.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The part.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox fault running hot-key")]
pub struct FaultArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Change what the fault changes at once
    Apply(Named),
    /// Undo the change
    Revert(Named),
    /// Succeed if the fault shows over the network
    Probe(Named),
    /// Hold what the fault holds, until the process ends
    Hold(Named),
    /// Start `hold` in the background
    Start(Named),
    /// Stop it
    Stop(Named),
    /// Succeed if it runs
    Running(Named),
    /// Let the broker make no file larger
    LimitBroker,
    /// Print the commands of a fault for the scripts of Docker mode: cause, undo, check, summary, outlives-down, remains
    Plan(Named),
}

/// One fault.
#[derive(Debug, clap::Args)]
struct Named {
    #[arg(value_name = "FAULT|MYSTERY", value_parser = typed)]
    typed: Typed,
}

/// A fault, and the name that it was given by: its own, or that of a mystery. Processes in the
/// background show the given name only.
#[derive(Debug, Clone)]
struct Typed {
    name: String,
    fault: &'static Fault,
}

fn typed(name: &str) -> Result<Typed, String> {
    let of_mystery = || mystery::find(name).and_then(|one| one.fault().ok());
    let fault = find(name).or_else(of_mystery);
    let fault = fault.ok_or_else(|| "must be one of ./sandbox break".to_owned())?;
    let name = name.to_owned();
    Ok(Typed { name, fault })
}

pub async fn run(args: FaultArgs, layout: &StackLayout) -> Result<()> {
    match args.verb {
        Verb::Apply(Named { typed }) => {
            let change = typed.fault.change.with_context(|| nothing(&typed))?;
            change.apply(layout).await
        }
        Verb::Revert(Named { typed }) => {
            let change = typed.fault.change.with_context(|| nothing(&typed))?;
            change.revert(layout).await
        }
        Verb::Probe(Named { typed }) => probe(&typed, layout).await,
        Verb::Hold(Named { typed }) => {
            let hold = typed.fault.hold.with_context(|| nothing(&typed))?;
            hold.run(layout).await.map(|never| match never {})
        }
        Verb::Start(Named { typed }) => start(&typed, layout).await,
        Verb::Stop(Named { typed }) => stop(&typed, layout).await,
        Verb::Running(Named { typed }) => running(&typed, layout),
        Verb::LimitBroker => limit_broker(layout).await,
        Verb::Plan(Named { typed }) => plan(typed.fault),
    }
}

fn nothing(typed: &Typed) -> String {
    format!("{} does nothing of that kind", typed.name)
}

async fn probe(typed: &Typed, layout: &StackLayout) -> Result<()> {
    let Check::Probe(probe) = typed.fault.check else {
        bail!("the check is: ./sandbox {}", typed.fault.check_command());
    };
    match probe.holds(layout).await? {
        true => {
            say(format_args!("{} is there", typed.name));
            Ok(())
        }
        false => bail!("{} is not there", typed.name),
    }
}

/// The name of the process in the records of the stack, and of its log.
fn process(typed: &Typed) -> String {
    format!("{BACKGROUND_PROCESS}{}", typed.name)
}

async fn start(typed: &Typed, layout: &StackLayout) -> Result<()> {
    typed.fault.hold.with_context(|| nothing(typed))?;
    layout.host_or_container().require_host("fault start")?;
    let stack = Stack::open(layout)?;
    let _lock = stack.lock().await?;
    if !stack.unavailable_backends()?.is_empty() {
        bail!("broker and database do not both run: ./sandbox up");
    }
    let this = std::env::current_exe().context("cannot find the path of this program")?;
    let mut program = Program::new(process(typed), this);
    program.arguments = ["fault", "hold", &typed.name].map(Into::into).into();
    let settings = layout.settings();
    let own = [
        ("SANDBOX_HOME", layout.home().display().to_string()),
        ("NAME_PREFIX", settings.name_prefix.to_string()),
        ("BIND_ADDR", settings.bind_addr.to_string()),
    ];
    let variables = own.into_iter().chain(settings.ports.variables());
    program.environment = variables
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    stack.processes.start(&program).await.map(drop)
}

async fn stop(typed: &Typed, layout: &StackLayout) -> Result<()> {
    layout.host_or_container().require_host("fault stop")?;
    let stack = Stack::open(layout)?;
    let _lock = stack.lock().await?;
    let name = process(typed);
    stack.processes.stop(&name, STOP_GRACE).await?;
    stack.processes.forget(&name)
}

fn running(typed: &Typed, layout: &StackLayout) -> Result<()> {
    layout.host_or_container().require_host("fault running")?;
    match Stack::open(layout)?.processes.runs(&process(typed))? {
        true => {
            say(format_args!("{} runs", process(typed)));
            Ok(())
        }
        false => bail!("{} does not run", process(typed)),
    }
}

/// Lowers the limit on the size of the files of the broker's process to one byte. A process that is
/// started later has no such limit.
async fn limit_broker(layout: &StackLayout) -> Result<()> {
    layout
        .host_or_container()
        .require_host("fault limit-broker")?;
    let stack = Stack::open(layout)?;
    let record = stack.processes.record(KAFKA)?;
    let alive = record.filter(|record| record.process.is_alive());
    let record = alive.context("kafka does not run: ./sandbox up kafka")?;
    let output = tokio::process::Command::new("prlimit")
        .args(["--pid", &record.process.pid.to_string()])
        .arg("--fsize=1")
        .output()
        .await
        .context("cannot run prlimit: install util-linux")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// One line for each word that follows: what it is, then the text.
fn plan(fault: &Fault) -> Result<()> {
    if let Modes::LocalOnly(reason) = fault.modes {
        return Err(Usage::error(format_args!(
            "{} cannot be caused in Docker mode: {reason}",
            fault.name
        )));
    }
    let mut lines = Vec::new();
    lines.extend(fault.cause.iter().map(|one| format!("cause {one}")));
    lines.extend(fault.undo.iter().map(|one| format!("undo {one}")));
    lines.push(format!("check {}", fault.check_command()));
    lines.push(format!("summary {}", fault.summary));
    lines.push(format!("outlives-down {}", fault.outlives_down()));
    lines.extend(fault.remains.map(|text| format!("remains {text}")));
    say(lines.join("\n"));
    Ok(())
}
