//! The commands of a fault, run one after the other as a person would type them, and its check.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::CommandFactory;
use faults::{Check, Fault};
use stack::layout::StackLayout;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::cli::Cli;

/// How long a fault may take to show, or to go. A killed member is in its group for 6 s.
const SHOWS_WITHIN: Duration = Duration::from_secs(60);

/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(300);

/// Runs commands in order, and stops at the first that fails. A command behind a hyphen may fail, as
/// in a makefile.
pub async fn run_all(commands: &[impl AsRef<str>]) -> Result<()> {
    for command in commands.iter().map(AsRef::as_ref) {
        match command.strip_prefix('-') {
            Some(optional) => {
                let _may_fail = run_one(optional).await;
            }
            None => run_one(command).await?,
        }
    }
    Ok(())
}

/// Runs one command of this program, with the options of the stack that this program was called with.
async fn run_one(command: &str) -> Result<()> {
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let output = Command::new(program)
        .args(options_before_the_verb())
        .args(command.split(' '))
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot start this program again")?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or("it says nothing").trim();
    bail!("{}", last.strip_prefix("error: ").unwrap_or(last))
}

fn options_before_the_verb() -> Vec<OsString> {
    let command = Cli::command();
    let is_verb = |word: &OsString| command.find_subcommand(word).is_some();
    std::env::args_os()
        .skip(1)
        .take_while(|word| !is_verb(word))
        .collect()
}

/// Whether the fault is there now. What cannot be looked at is not there.
pub async fn is_there(fault: &Fault, layout: &StackLayout) -> bool {
    shows(fault, &fault.check_command(), layout).await
}

/// The same with the check's command as it is for a fault under another name.
pub async fn shows(fault: &Fault, check: &str, layout: &StackLayout) -> bool {
    match fault.check {
        Check::Command(_) => run_one(check).await.is_ok(),
        Check::Probe(probe) => probe.holds(layout).await.unwrap_or(false),
    }
}

/// Waits until the fault is there, or is not.
pub async fn until_there(fault: &Fault, layout: &StackLayout, there: bool) -> bool {
    until_shows(fault, &fault.check_command(), layout, there).await
}

/// The same with the check's command as it is for a fault under another name.
pub async fn until_shows(fault: &Fault, check: &str, layout: &StackLayout, there: bool) -> bool {
    let deadline = Instant::now() + SHOWS_WITHIN;
    while shows(fault, check, layout).await != there {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(PAUSE).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use faults::ALL;

    use super::*;

    /// Every command that the catalogue and its document name.
    fn commands(fault: &Fault) -> Vec<String> {
        let listed = fault.cause.iter().chain(fault.undo);
        let mut all: Vec<_> = listed
            .map(|command| command.trim_start_matches('-').to_owned())
            .collect();
        all.push(fault.check_command());
        all.push(fault.shows.command.to_owned());
        all
    }

    #[test]
    fn every_command_of_a_mystery_is_one_of_this_program() {
        for one in faults::mystery::all() {
            let mut commands = one.cause().unwrap();
            commands.extend(one.undo().unwrap());
            commands.push(one.check_command().unwrap());
            commands.extend(one.customers().iter().map(ToString::to_string));
            for command in commands {
                let command = command.trim_start_matches('-');
                let words = std::iter::once("sandbox").chain(command.split(' '));
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{}: {command}: {error}", one.name);
                }
            }
        }
    }

    #[test]
    fn every_command_of_a_fault_is_one_of_this_program() {
        for fault in ALL {
            for command in commands(fault) {
                let words = std::iter::once("sandbox").chain(command.split(' '));
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{}: {command}: {error}", fault.name);
                }
            }
        }
    }
}
