//! `sandbox logs`: shows the logs of several processes as one, in order of time.

use std::time::Duration;

use anyhow::Result;
use scenario_runner::conditions::at_most;
use stack::layout::StackLayout;
use stack::merged_logs::{LogLine, LogReader, sort_by_time};
use stack::target::{ProcessTarget, Target};
use stack::terminal::say_labelled;
use stack::workload::Workload;
use stack::{Stack, process_name};
use tokio::time::sleep;

use super::order_timeline;

/// The pause between two reads of the files.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The processes, and how many lines.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox logs\n  ./sandbox logs -f inventory-service payment-service.1\n  ./sandbox logs --tail 20 kafka\n  ./sandbox logs --order 0190a7c2-…   everything about one order"
)]
pub struct Logs {
    /// Only these: a service or tool, one of its instances, kafka, postgres or prometheus [default: all services and tools]
    #[arg(value_name = "SERVICE[.SLOT]|kafka[.N]|postgres|prometheus")]
    targets: Vec<ProcessTarget>,

    /// Then print new lines, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Print only the last lines of what was written so far
    #[arg(long, value_name = "LINES", value_parser = at_most(1_000_000))]
    tail: Option<usize>,

    /// Everything about one order: its records in all topics, its facts, and the log lines that name it
    #[arg(long, value_name = "ID", conflicts_with_all = ["targets", "follow", "tail"])]
    order: Option<String>,
}

/// Prints the lines in order of time.
pub async fn run(args: Logs, layout: &StackLayout) -> Result<()> {
    if let Some(order) = &args.order {
        return order_timeline::run(order, layout).await;
    }
    layout.host_or_container().require_host("logs")?;
    let stack = Stack::open(layout)?;
    let mut readers: Vec<LogReader> = Vec::new();
    open_new(&stack, &args.targets, &mut readers)?;
    let lines = read(&mut readers)?;
    let skipped = args.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    lines.iter().skip(skipped).for_each(show);
    if !args.follow {
        return Ok(());
    }
    loop {
        sleep(POLL_INTERVAL).await;
        // An instance may have started meanwhile.
        open_new(&stack, &args.targets, &mut readers)?;
        read(&mut readers)?.iter().for_each(show);
    }
}

fn read(readers: &mut [LogReader]) -> Result<Vec<LogLine>> {
    let lines: Result<Vec<_>> = readers.iter_mut().map(LogReader::read).collect();
    Ok(sort_by_time(lines?.concat()))
}

/// Adds a reader for each log file that has none yet.
fn open_new(
    stack: &Stack<'_>,
    targets: &[ProcessTarget],
    readers: &mut Vec<LogReader>,
) -> Result<()> {
    let all = Workload::KNOWN.map(|of| ProcessTarget::Workload(Target { of, slot: None }));
    let targets = if targets.is_empty() { &all } else { targets };
    for target in targets {
        for name in names_with_log(stack, *target) {
            if readers.iter().all(|reader| reader.name() != name) {
                let file = stack.state_dir().logs().join(format!("{name}.log"));
                readers.push(LogReader::new(name, file));
            }
        }
    }
    Ok(())
}

/// The processes of a target that have a log file, those that `down` or `scale` stopped included.
fn names_with_log(stack: &Stack<'_>, target: ProcessTarget) -> Vec<String> {
    let mut names = match target {
        ProcessTarget::Workload(Target { of, slot: None }) => {
            let slots = 1..=stack.layout.max_slots(of);
            slots.map(|slot| process_name(of, slot)).collect()
        }
        one => vec![one.to_string()],
    };
    names.retain(|name| {
        stack
            .state_dir()
            .logs()
            .join(format!("{name}.log"))
            .is_file()
    });
    names
}

fn show(line: &LogLine) {
    const COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];
    let LogLine { name, text, .. } = line;
    let number = name
        .bytes()
        .fold(0, |sum: usize, byte| sum + usize::from(byte));
    let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or(36);
    say_labelled(colour, &format!("{name:<19}"), text);
}
