//! `sandbox break`: lists the faults, or causes one. The catalogue is the crate `faults`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{SecondsFormat, Utc};
use faults::broken::{self, BrokenFault, BrokenFaults};
use faults::{ALL, Fault};
use service_kit::settings::duration_between;
use stack::layout::StackLayout;
use stack::terminal::{Table, Usage, note, say};
use tokio::time::sleep;

use super::fault_commands::{is_there, run_all, until_there};
use super::{mystery, repair};

/// The fault, and for how long.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox break                          the list\n  ./sandbox break broker-frozen\n  ./sandbox break database-frozen --for 30s\n  ./sandbox repair\n\nThe fault is recorded before it is caused, so `repair` undoes it after a Ctrl-C, a killed terminal or a restart of the shop, too.\ndocs/faults.md says of each fault what really breaks, who notices it, where it shows and how it is repaired."
)]
pub struct Break {
    /// The fault; without it, a list of all
    #[arg(value_name = "FAULT", value_parser = fault)]
    fault: Option<&'static Fault>,

    /// Wait for this time, then repair the fault
    #[arg(long = "for", value_name = "TIME", requires = "fault", value_parser = duration_between(1, 3_600))]
    time: Option<Duration>,

    /// Print docs/faults.md
    #[arg(long, hide = true, conflicts_with = "fault")]
    document: bool,
}

/// A fault of the catalogue, by its name.
pub fn fault(name: &str) -> Result<&'static Fault, String> {
    faults::find(name).ok_or_else(|| "must be one of ./sandbox break".to_owned())
}

/// Lists the faults, or causes one.
pub async fn run(args: Break, layout: &StackLayout) -> Result<()> {
    if args.document {
        say(faults::document::faults_md().trim_end());
        return Ok(());
    }
    let Some(fault) = args.fault else {
        list();
        return Ok(());
    };
    layout.host_or_container().require_host("break")?;
    mystery::refuse_while_running(layout)?;
    cause(fault, layout).await?;
    let Some(time) = args.time else {
        return Ok(());
    };
    note(format_args!(
        "repaired in {}; after Ctrl-C: ./sandbox repair {}",
        humantime::format_duration(time),
        fault.name
    ));
    sleep(time).await;
    repair::repair(&[fault.name.to_owned()], layout).await
}

fn list() {
    let mut table = Table::of_sentences();
    for fault in ALL {
        table.row([fault.name, fault.summary]);
    }
    say(table);
}

/// Records the fault, causes it, and waits until it is there.
pub async fn cause(fault: &Fault, layout: &StackLayout) -> Result<()> {
    let name = fault.name;
    if !layout.home().exists() {
        bail!("nothing runs: ./sandbox up");
    }
    let home = layout.home();
    let _lock = broken::lock(home).await?;
    let mut broken = BrokenFaults::load(home)?;
    if broken.contains(name) {
        return Err(Usage::error(format_args!(
            "{name} is caused already: ./sandbox repair {name}"
        )));
    }
    if is_there(fault, layout).await {
        return Err(Usage::error(format_args!(
            "{name} is there already, and not by this command: ./sandbox status"
        )));
    }
    let since = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let record = BrokenFault {
        name: name.to_owned(),
        since,
    };
    broken.add(home, record)?;
    if let Err(error) = run_all(fault.cause).await {
        run_all(fault.undo)
            .await
            .with_context(|| format!("{name} is caused in part: ./sandbox repair {name}"))?;
        broken.remove(home, name)?;
        return Err(error);
    }
    if !until_there(fault, layout, true).await {
        bail!("{name} was caused, and does not show: ./sandbox repair {name} undoes it");
    }
    say(format_args!(
        "{name}: {}. ./sandbox repair {name} undoes it",
        fault.summary
    ));
    Ok(())
}
