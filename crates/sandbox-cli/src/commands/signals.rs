//! `sandbox kill`, `pause`, `continue`: failures on purpose. The work is in [`stack::signals`].

use anyhow::Result;
use stack::Stack;
use stack::layout::StackLayout;
use stack::signals::EndSignal;
use stack::target::ProcessTarget;
use stack::terminal::say;

/// The processes to end, and the signal.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox kill -9 inventory-service.1\n  ./sandbox kill kafka\n\nThe process stays stopped until you start it: ./sandbox up inventory-service.1"
)]
pub struct Kill {
    /// SIGKILL instead of SIGTERM: the process does not drain
    #[arg(short = '9', long = "now")]
    now: bool,

    /// A service or tool, one of its instances, kafka (of three brokers one: kafka.2), postgres or prometheus
    #[arg(
        value_name = "SERVICE[.SLOT]|kafka[.N]|postgres|prometheus",
        required = true
    )]
    targets: Vec<ProcessTarget>,
}

/// The processes to pause.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox pause postgres\n\nThe process keeps its memory and its connections, but does nothing: ./sandbox continue postgres"
)]
pub struct Pause {
    /// A service or tool, one of its instances, kafka (of three brokers one: kafka.2), postgres or prometheus
    #[arg(
        value_name = "SERVICE[.SLOT]|kafka[.N]|postgres|prometheus",
        required = true
    )]
    targets: Vec<ProcessTarget>,
}

/// The processes to continue.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ./sandbox continue postgres")]
pub struct Continue {
    /// A service or tool, one of its instances, kafka (of three brokers one: kafka.2), postgres or prometheus
    #[arg(
        value_name = "SERVICE[.SLOT]|kafka[.N]|postgres|prometheus",
        required = true
    )]
    targets: Vec<ProcessTarget>,
}

/// Ends the processes one after the other.
pub async fn kill(args: Kill, layout: &StackLayout) -> Result<()> {
    let stack = Stack::open(layout)?;
    let _lock = stack.lock().await?;
    let signal = match args.now {
        true => EndSignal::Kill,
        false => EndSignal::Terminate,
    };
    for name in stack.alive_processes_of(&args.targets)? {
        stack.end_process(&name, signal).await?;
        say(format_args!(
            "{name} is stopped: ./sandbox up {name} starts it again"
        ));
    }
    Ok(())
}

/// Pauses the processes.
pub async fn pause(args: Pause, layout: &StackLayout) -> Result<()> {
    let stack = Stack::open(layout)?;
    let _lock = stack.lock().await?;
    for name in stack.alive_processes_of(&args.targets)? {
        stack.processes.pause(&name)?;
        say(format_args!("{name} is paused: ./sandbox continue {name}"));
    }
    Ok(())
}

/// Continues the processes.
pub async fn resume(args: Continue, layout: &StackLayout) -> Result<()> {
    let stack = Stack::open(layout)?;
    let _lock = stack.lock().await?;
    for name in stack.alive_processes_of(&args.targets)? {
        stack.processes.resume(&name)?;
        say(format_args!("{name} runs again"));
    }
    Ok(())
}
