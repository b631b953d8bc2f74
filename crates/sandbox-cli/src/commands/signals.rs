//! `sandbox kill`, `pause`, `continue`: what failures are made of.

use anyhow::{Result, bail};
use local_runtime::kafka::{KAFKA, KAFKA_GRACE};
use local_runtime::postgres::{POSTGRES, POSTGRES_GRACE};
use local_runtime::prometheus::{PROMETHEUS, PROMETHEUS_GRACE};

use stack::sandbox::Sandbox;
use stack::Stack;
use stack::target::AnyTarget;
use stack::terminal::say;

/// Whom to end, and how.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox kill -9 inventory-service.1\n  ./sandbox kill kafka\n\nIt stays dead until it is asked for: ./sandbox up inventory-service.1"
)]
pub struct Kill {
    /// SIGKILL instead of SIGTERM: no drain, no goodbye
    #[arg(short = '9', long = "now")]
    now: bool,

    /// A service or tool, one of its instances, kafka, postgres or prometheus
    #[arg(
        value_name = "SERVICE[.SLOT]|kafka|postgres|prometheus",
        required = true
    )]
    targets: Vec<AnyTarget>,
}

/// Whom to freeze.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox pause postgres\n\nIt keeps its memory and its connections, but does nothing: ./sandbox continue postgres"
)]
pub struct Pause {
    /// A service or tool, one of its instances, kafka, postgres or prometheus
    #[arg(
        value_name = "SERVICE[.SLOT]|kafka|postgres|prometheus",
        required = true
    )]
    targets: Vec<AnyTarget>,
}

/// Whom to let go on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ./sandbox continue postgres")]
pub struct Continue {
    /// A service or tool, one of its instances, kafka, postgres or prometheus
    #[arg(
        value_name = "SERVICE[.SLOT]|kafka|postgres|prometheus",
        required = true
    )]
    targets: Vec<AnyTarget>,
}

/// Ends them, and remembers that it was meant.
pub async fn kill(args: Kill, sandbox: &Sandbox) -> Result<()> {
    let stack = Stack::open(sandbox)?;
    let _lock = stack.lock().await?;
    for name in running(&stack, &args.targets)? {
        let mut memory = stack.memory()?;
        memory.killed(&name);
        memory.save(stack.home().folder())?;
        if args.now {
            stack.processes.kill(&name).await?;
        } else {
            end(&stack, &name).await?;
        }
        say(format_args!(
            "{name} is dead: ./sandbox up {name} starts it again"
        ));
    }
    Ok(())
}

async fn end(stack: &Stack<'_>, name: &str) -> Result<()> {
    match name {
        KAFKA => stack.processes.stop(name, KAFKA_GRACE).await.map(drop),
        POSTGRES => stack.processes.stop(name, POSTGRES_GRACE).await.map(drop),
        PROMETHEUS => stack.processes.stop(name, PROMETHEUS_GRACE).await.map(drop),
        service => stack.stop_names(&[service.to_owned()]).await,
    }
}

/// Freezes them.
pub async fn pause(args: Pause, sandbox: &Sandbox) -> Result<()> {
    let stack = Stack::open(sandbox)?;
    let _lock = stack.lock().await?;
    for name in running(&stack, &args.targets)? {
        stack.processes.pause(&name)?;
        say(format_args!("{name} is paused: ./sandbox continue {name}"));
    }
    Ok(())
}

/// Lets them go on.
pub async fn resume(args: Continue, sandbox: &Sandbox) -> Result<()> {
    let stack = Stack::open(sandbox)?;
    let _lock = stack.lock().await?;
    for name in running(&stack, &args.targets)? {
        stack.processes.resume(&name)?;
        say(format_args!("{name} goes on"));
    }
    Ok(())
}

/// The processes that the targets mean, all of which must run (paused ones do): of a service without slot, those that do.
fn running(stack: &Stack<'_>, targets: &[AnyTarget]) -> Result<Vec<String>> {
    let alive = stack.running()?;
    let mut names = Vec::new();
    for target in targets {
        let mut found = stack.names(*target)?;
        found.retain(|name| alive.contains(name));
        if found.is_empty() {
            bail!("{target} does not run: ./sandbox up {target}");
        }
        names.extend(found);
    }
    names.dedup();
    Ok(names)
}
