//! `sandbox logs`: what all processes said, as one.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::journey;
use scenario_runner::conditions::at_most;
use stack::sandbox::Sandbox;
use stack::merged_logs::{Journal, Line, in_order_of_time};
use stack::{Stack, process_name};
use stack::target::{AnyTarget, Target};
use stack::terminal::{self, say};
use stack::workload::Workload;

/// Between two looks at the files.
const TURN: Duration = Duration::from_millis(200);

/// Whose, and how.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox logs\n  ./sandbox logs -f inventory-service payment-service.1\n  ./sandbox logs --tail 20 kafka\n  ./sandbox logs --order 0190a7c2-…   one order's records, facts and log lines"
)]
pub struct Logs {
    /// Only these: a service or tool, one of its instances, kafka, postgres or prometheus [default: all services and tools]
    #[arg(value_name = "SERVICE[.SLOT]|kafka|postgres|prometheus")]
    targets: Vec<AnyTarget>,

    /// Go on with what is written from now on, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Only the last lines of what was written so far
    #[arg(long, value_name = "LINES", value_parser = at_most(1_000_000))]
    tail: Option<usize>,

    /// One order's whole journey: its records in all topics, its facts, and the log lines that name it
    #[arg(long, value_name = "ID", conflicts_with_all = ["targets", "follow", "tail"])]
    order: Option<String>,
}

/// Shows the lines in order of time.
pub async fn run(args: Logs, sandbox: &Sandbox) -> Result<()> {
    if let Some(order) = &args.order {
        return order_timeline::run(order, sandbox).await;
    }
    sandbox.vantage().require_host("logs")?;
    let stack = Stack::open(sandbox)?;
    let mut journals: Vec<Journal> = Vec::new();
    open_new(&stack, &args.targets, &mut journals)?;
    let lines = read(&mut journals)?;
    let skipped = args.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    lines.iter().skip(skipped).for_each(show);
    if !args.follow {
        return Ok(());
    }
    loop {
        sleep(TURN).await;
        // An instance may have been started meanwhile.
        open_new(&stack, &args.targets, &mut journals)?;
        read(&mut journals)?.iter().for_each(show);
    }
}

fn read(journals: &mut [Journal]) -> Result<Vec<Line>> {
    let lines: Result<Vec<_>> = journals.iter_mut().map(Journal::read).collect();
    Ok(in_order_of_time(lines?.concat()))
}

/// Adds the log files that are there and not read yet.
fn open_new(stack: &Stack<'_>, targets: &[AnyTarget], journals: &mut Vec<Journal>) -> Result<()> {
    let ours = Workload::ALL.map(|of| AnyTarget::Workload(Target { of, slot: None }));
    let targets = if targets.is_empty() { &ours } else { targets };
    for target in targets {
        for name in logged(stack, *target) {
            if journals.iter().all(|journal| journal.name() != name) {
                let file = stack.home().logs().join(format!("{name}.log"));
                journals.push(Journal::new(name, file));
            }
        }
    }
    Ok(())
}

/// The processes a target means that have a log, also when they were forgotten by a `down` or a `scale`.
fn logged(stack: &Stack<'_>, target: AnyTarget) -> Vec<String> {
    let mut names = match target {
        AnyTarget::Workload(Target { of, slot: None }) => {
            let slots = 1..=stack.sandbox.slots(of);
            slots.map(|slot| process_name(of, slot)).collect()
        }
        one => vec![one.to_string()],
    };
    names.retain(|name| stack.home().logs().join(format!("{name}.log")).is_file());
    names
}

fn show(line: &Line) {
    const COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];
    let Line { name, text, .. } = line;
    if terminal::is_watched() {
        let number = name
            .bytes()
            .fold(0, |sum: usize, byte| sum + usize::from(byte));
        let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or(36);
        say(format_args!("\x1b[{colour}m{name:<19}\x1b[0m {text}"));
    } else {
        say(format_args!("{name:<19} {text}"));
    }
}
