//! `sandbox doctor`: what is missing or wrong, and how to repair it.

use anyhow::{Result, bail};

use stack::sandbox::Sandbox;
use stack::finding::{Finding, Verdict};
use stack::terminal::say;

/// For whom.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox doctor\n\nFails if something stands in the way of ./sandbox up or of a service that runs."
)]
pub struct Doctor {
    /// For scripts
    #[arg(long)]
    json: bool,
}

/// Examines everything, and says what it found.
pub async fn run(args: Doctor, sandbox: &Sandbox) -> Result<()> {
    let findings = sandbox.vantage().findings(sandbox).await?;
    if args.json {
        say(serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(show);
    }
    let bad = findings.iter().filter(|one| one.verdict == Verdict::Bad);
    match bad.count() {
        0 => Ok(()),
        1 => bail!("1 thing is in the way: see above"),
        several => bail!("{several} things are in the way: see above"),
    }
}

fn show(finding: &Finding) {
    let mark = match finding.verdict {
        Verdict::Good => "ok   ",
        Verdict::Odd => "note ",
        Verdict::Bad => "BAD  ",
    };
    say(format_args!("{mark} {}: {}", finding.what, finding.found));
    if let Some(fix) = &finding.fix {
        say(format_args!("      → {fix}"));
    }
}
