//! `sandbox report`: runs a scenario as `sandbox scenario` does, samples the stack meanwhile, and writes both to an HTML file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use chrono::Utc;
use scenario_runner::progress::{ProgressPrinter, table};
use scenario_runner::readme::ReadOptions;
use scenario_runner::report::sampler::Sampler;
use scenario_runner::report::{self, page};
use stack::layout::StackLayout;
use stack::terminal::{Usage, say};
use stack::{MODE_VARIABLE, Mode};
use tokio_util::sync::CancellationToken;

use super::scenario;

/// The scenario, and the file.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox report consumer-lag\n  ./sandbox report hot-partition --short --output hot.html\n  ./sandbox report ./my-scenario    a scenario of your own\n\nThe file is self-contained: you can open, send and print it. The exit code is that of the scenario."
)]
pub struct Report {
    /// Name of a folder in scenarios/, or a path to another folder with a README.md
    pub scenario: String,

    /// The same steps with smaller numbers, where the scenario has some
    #[arg(long)]
    pub short: bool,

    /// The file [default: reports/SCENARIO.html in the folder of the stack]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The mode of the stack: blocks of the other mode are left out
    #[arg(long, env = MODE_VARIABLE, value_enum, default_value_t = Mode::Local)]
    pub mode: Mode,
}

/// Runs the scenario, and writes the file whether it passes or fails.
pub async fn run(args: Report, layout: &StackLayout) -> Result<()> {
    let Report { short, mode, .. } = args;
    let scenario = scenario::one(&args.scenario, layout, ReadOptions { mode, short })?;
    let file = match args.output {
        Some(file) => file,
        None => {
            let name = scenario.name.replace(['/', '\\'], "-");
            layout.home().join(format!("reports/{name}.html"))
        }
    };
    // Checked first: a scenario takes minutes.
    prepare(&file)?;
    let stage = scenario::stage(layout, mode);
    let guard = layout.interrupt().guard()?;
    let (date, stop) = (Utc::now(), CancellationToken::new());
    let mut sampler = Sampler::new(layout, mode)?;
    let begun = sampler.begun();
    let play = async {
        let outcome = stage
            .play(&scenario, &guard, &ProgressPrinter::new(false))
            .await;
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
        versions: versions(layout, mode, short),
    });
    fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    let outcomes = [outcome];
    say(format_args!("\n{}", table(&outcomes)));
    say(format_args!("\nthe report: {}", file.display()));
    scenario::verdict(&outcomes)
}

/// Creates the folder, and fails if the file cannot be written.
fn prepare(file: &Path) -> Result<()> {
    if file.is_dir() {
        return Err(Usage::error(format_args!(
            "--output {} is a folder: name a file in it",
            file.display()
        )));
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    // An existing file is not truncated: the scenario may be stopped before there is a new report.
    let opened = fs::OpenOptions::new().create(true).append(true).open(file);
    opened.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// The versions of what ran, as far as they are known.
fn versions(layout: &StackLayout, mode: Mode, short: bool) -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut versions = vec![(
        "saga-sandbox".to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
    )];
    match mode {
        Mode::Local => {
            versions.push(("Ran as".to_owned(), "processes of one machine".to_owned()));
            versions.extend(local(layout));
        }
        Mode::Docker => {
            versions.push((
                "Ran as".to_owned(),
                "containers of Docker Compose".to_owned(),
            ));
            versions.extend(images(layout));
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

/// Kafka's version is in the name of its client's archive; PostgreSQL prints its own.
fn local(layout: &StackLayout) -> Vec<(String, String)> {
    let Ok(installed) = layout.sources().installed() else {
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
    if let Ok(output) = postgres {
        let output = String::from_utf8_lossy(&output.stdout);
        if let Some(version) = output.trim().strip_prefix("postgres (PostgreSQL) ") {
            found.push(("PostgreSQL".to_owned(), version.to_owned()));
        }
    }
    found
}

/// The images of broker and database in the Compose file.
fn images(layout: &StackLayout) -> Vec<(String, String)> {
    let file = layout.checkout().join("docker-compose.yml");
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
