//! `sandbox down`: nothing runs any more.

use std::io::ErrorKind;
use std::time::Instant;

use anyhow::{Context, Result};

use stack::sandbox::Sandbox;
use stack::Stack;
use stack::saved_settings::Memory;
use stack::terminal::{Progress, say};

/// How thoroughly.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox down\n  ./sandbox down --reset     also removes topics, databases and logs\n\nServices stop first (SIGTERM, and SIGKILL for who does not drain in time), then broker and database. Settings that were changed are forgotten."
)]
pub struct Down {
    /// Remove all data and logs too
    #[arg(long)]
    pub reset: bool,
}

/// Stops everything, in order, and forgets what ran.
pub async fn run(args: Down, sandbox: &Sandbox) -> Result<()> {
    if !sandbox.home().exists() {
        say("nothing runs");
        return Ok(());
    }
    let hold = sandbox.interrupt().hold()?;
    let stack = Stack::open(sandbox)?;
    let _lock = hold.or(stack.lock()).await?;
    let (running, begun) = (stack.running()?, Instant::now());
    {
        let _progress = Progress::new("stopping");
        stack.stop_names(&running).await?;
    }
    for record in stack.processes.records()? {
        stack.processes.forget(&record.name)?;
    }
    Memory::forget(stack.home().folder())?;
    match running.as_slice() {
        [] => say("nothing runs"),
        names => say(format_args!(
            "stopped {} in {:.1} s",
            names.join(", "),
            begun.elapsed().as_secs_f64()
        )),
    }
    if args.reset {
        remove_everything(&stack)?;
        say(format_args!(
            "removed all data and logs in {}",
            sandbox.home().display()
        ));
    }
    Ok(())
}

fn remove_everything(stack: &Stack<'_>) -> Result<()> {
    stack.home().remove_data()?;
    let own = stack.sandbox.checkout().join(".sandbox");
    if stack.sandbox.home() == own {
        // What lies in /var/tmp because root cannot run PostgreSQL. Other stacks of this checkout run the same copy: it is
        // removed with the first, and unpacked again by the next `up` of any.
        return stack.sandbox.sources().remove_outside();
    }
    // The folder of another stack goes too, unless something of somebody else is in it. The lock in it is ours.
    let folder = stack.home().folder();
    std::fs::remove_file(folder.join("lock"))
        .with_context(|| format!("cannot remove the lock in {}", folder.display()))?;
    match std::fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
