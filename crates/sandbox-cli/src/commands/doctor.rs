//! `sandbox doctor`: shows what is missing or wrong, and how to repair it. The work is in [`stack::doctor`].

use anyhow::{Result, bail};
use stack::doctor::{Finding, Severity};
use stack::layout::StackLayout;
use stack::terminal::say;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox doctor\n\nFails if ./sandbox up or a running service cannot work."
)]
pub struct Doctor {
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// Prints all findings; fails if one of them is a problem.
pub async fn run(args: Doctor, layout: &StackLayout) -> Result<()> {
    let findings = layout.host_or_container().findings(layout).await?;
    if args.json {
        say(serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(show);
        say("\nWhich command to type first at which symptom: docs/on-call.md");
    }
    let problems = findings
        .iter()
        .filter(|one| one.severity == Severity::Problem);
    match problems.count() {
        0 => Ok(()),
        1 => bail!("1 problem: see above"),
        several => bail!("{several} problems: see above"),
    }
}

fn show(finding: &Finding) {
    let mark = match finding.severity {
        Severity::Ok => "ok   ",
        Severity::Warning => "note ",
        Severity::Problem => "BAD  ",
    };
    say(format_args!("{mark} {}: {}", finding.what, finding.found));
    if let Some(fix) = &finding.fix {
        say(format_args!("      → {fix}"));
    }
}
