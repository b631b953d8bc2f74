//! `sandbox report`: plays a scenario as `sandbox scenario` does, watches the stack meanwhile, and writes down both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::scenario;
use scenario_runner::report::sampler::Sampler;
use scenario_runner::report::{self, page};
use stack::sandbox::Sandbox;
use scenario_runner::readme::{Reading, Way};
use scenario_runner::progress::{Narrator, table};
use stack::terminal::{Usage, say};

/// Of which, and where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox report consumer-lag\n  ./sandbox report hot-partition --short --output hot.html\n  ./sandbox report ./my-scenario    one that you write\n\nThe file needs nothing besides itself: it can be opened, sent and printed. The exit code is the scenario's."
)]
pub struct Report {
    /// Name of a folder in scenarios/, or a path to another folder with a README.md
    pub scenario: String,

    /// The same steps with smaller numbers, where the scenario has some
    #[arg(long)]
    pub short: bool,

    /// Where the file goes [default: reports/SCENARIO.html in the folder of the stack]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The way in which the stack runs: the blocks of the other way are left out
    #[arg(long, env = "SANDBOX_MODE", value_enum, default_value = "local")]
    pub way: Way,
}

/// Plays it, and writes the file whether it passes or fails.
pub async fn run(args: Report, sandbox: &Sandbox) -> Result<()> {
    let Report { short, way, .. } = args;
    let scenario = scenario::one(&args.scenario, sandbox, Reading { way, short })?;
    let file = match args.output {
        Some(file) => file,
        None => {
            let name = scenario.name.replace(['/', '\\'], "-");
            sandbox.home().join(format!("reports/{name}.html"))
        }
    };
    // Before the scenario is played: else minutes would pass for nothing.
    prepare(&file)?;
    let stage = scenario::stage(sandbox, way);
    let hold = sandbox.interrupt().hold()?;
    let (date, stop) = (Utc::now(), CancellationToken::new());
    let mut sampler = Sampler::new(sandbox, way)?;
    let begun = sampler.begun();
    let play = async {
        let outcome = stage.play(&scenario, &hold, &Narrator::new(false)).await;
        stop.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(play, sampler.run(&stop));
    let outcome = outcome?;
    let took = begun.elapsed();
    let samples = sampler.finish().await;
    let page = page::html(&report::Report {
        scenario: &scenario,
        outcome: &outcome,
        samples: &samples,
        date,
        begun,
        took,
        versions: versions(sandbox, way, short),
    });
    fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    let outcomes = [outcome];
    say(format_args!("\n{}", table(&outcomes)));
    say(format_args!("\nthe report: {}", file.display()));
    scenario::verdict(&outcomes)
}

/// Makes the folder, and refuses a place where no file can be.
fn prepare(file: &Path) -> Result<()> {
    if file.is_dir() {
        return Err(Usage::error(format_args!(
            "--output {} is a folder: name a file in it",
            file.display()
        )));
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    // Kept as it was, if it was there: the scenario may still be stopped.
    let opened = fs::OpenOptions::new().create(true).append(true).open(file);
    opened.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// What was played with, as far as it can be told.
fn versions(sandbox: &Sandbox, way: Way, short: bool) -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut versions = vec![(
        "saga-sandbox".to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
    )];
    match way {
        Way::Local => {
            versions.push(("Ran as".to_owned(), "processes of one machine".to_owned()));
            versions.extend(local(sandbox));
        }
        Way::Docker => {
            versions.push((
                "Ran as".to_owned(),
                "containers of Docker Compose".to_owned(),
            ));
            versions.extend(images(sandbox));
        }
    }
    versions.push(("Processors".to_owned(), cores.to_string()));
    let numbers = if short {
        "smaller (--short)"
    } else {
        "as in the README"
    };
    versions.push(("Numbers".to_owned(), numbers.to_owned()));
    versions
}

/// Kafka by the name of its client's archive, PostgreSQL by what it says itself.
fn local(sandbox: &Sandbox) -> Vec<(String, String)> {
    let Ok(installed) = sandbox.sources().installed() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let archives = fs::read_dir(&installed.kafka_libs)
        .into_iter()
        .flatten()
        .flatten();
    let version = archives.filter_map(|archive| {
        let name = archive.file_name().to_string_lossy().into_owned();
        let version = name.strip_prefix("kafka-clients-")?.strip_suffix(".jar")?;
        Some(version.to_owned())
    });
    found.extend(version.take(1).map(|version| ("Kafka".to_owned(), version)));
    let postgres = Command::new(installed.postgres_bin.join("postgres"))
        .arg("--version")
        .output();
    if let Ok(said) = postgres {
        let said = String::from_utf8_lossy(&said.stdout);
        if let Some(version) = said.trim().strip_prefix("postgres (PostgreSQL) ") {
            found.push(("PostgreSQL".to_owned(), version.to_owned()));
        }
    }
    found
}

/// The images of broker and database that the Compose file names.
fn images(sandbox: &Sandbox) -> Vec<(String, String)> {
    let file = sandbox.checkout().join("docker-compose.yml");
    let text = fs::read_to_string(file).unwrap_or_default();
    let names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "));
    let named = |image: &str| {
        let known = [("kafka:", "Kafka"), ("postgres:", "PostgreSQL")];
        let (_, name) = known.into_iter().find(|(part, _)| image.contains(part))?;
        Some((name.to_owned(), image.to_owned()))
    };
    names.filter_map(named).collect()
}
