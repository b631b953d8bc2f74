//! `sandbox scenario`: does what the READMEs in `scenarios/` say, and tells whether it came out as they promise.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use stack::sandbox::Sandbox;
use scenario_runner::runner::{Outcome, Scenario as Playable, Stage};
use scenario_runner::readme::{Reading, Way};
use scenario_runner::progress::{self, Narrator};
use stack::terminal::{Table, Usage, say};

/// Which, and how.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox scenario --list\n  ./sandbox scenario dead-letter --step\n  ./sandbox scenario                  all of them\n  ./sandbox scenario ./my-scenario    one that you write\n  ./sandbox scenario consumer-lag --short"
)]
pub struct Scenario {
    /// Names of folders in scenarios/, or a path to another folder with a README.md; without any: all in scenarios/
    pub names: Vec<String>,

    /// Only list what there is
    #[arg(long)]
    pub list: bool,

    /// Wait for Enter before each step
    #[arg(long, conflicts_with = "json")]
    pub step: bool,

    /// The way in which the stack runs: the blocks of the other way are left out
    #[arg(long, env = "SANDBOX_MODE", value_enum, default_value = "local")]
    pub way: Way,

    /// The same steps with smaller numbers, where the scenario has some
    #[arg(long)]
    pub short: bool,

    /// Print JSON, with everything the steps printed
    #[arg(long)]
    pub json: bool,
}

/// Plays them, one after the other, in order of their names.
pub async fn run(args: Scenario, sandbox: &Sandbox) -> Result<()> {
    if args.step && !std::io::stdin().is_terminal() {
        return Err(Usage::error(
            "--step asks before each step, and needs a terminal for it",
        ));
    }
    let reading = Reading {
        way: args.way,
        short: args.short,
    };
    let scenarios = load(&args.names, &sandbox.checkout().join("scenarios"), reading)?;
    if args.list {
        list(&scenarios, args.json);
        return Ok(());
    }
    let stage = stage(sandbox, args.way);
    let narrator = if args.json {
        Narrator::silent()
    } else {
        Narrator::new(args.step)
    };
    let hold = sandbox.interrupt().hold()?;
    let mut outcomes = Vec::new();
    for scenario in &scenarios {
        let outcome = stage.play(scenario, &hold, &narrator).await?;
        let stopped = outcome.stopped;
        outcomes.push(outcome);
        if stopped {
            break;
        }
    }
    if args.json {
        say(serde_json::to_string_pretty(&report::json(&outcomes))?);
    } else {
        say(format_args!("\n{}", report::table(&outcomes)));
    }
    verdict(&outcomes)
}

/// Where this stack's scenarios are played.
pub(super) fn stage(sandbox: &Sandbox, way: Way) -> Stage {
    Stage {
        root: sandbox.checkout().to_owned(),
        variables: variables(sandbox, way),
    }
}

/// An error that names the first step that failed, if one did, or says that somebody stopped before the end.
pub(super) fn verdict(outcomes: &[Outcome]) -> Result<()> {
    if let Some(failure) = report::first_failure(outcomes) {
        bail!("{failure}");
    }
    if !outcomes.iter().all(Outcome::passed) {
        bail!("stopped before the end");
    }
    Ok(())
}

/// The scenario of this name, or in the folder of this path.
pub(super) fn one(name: &str, sandbox: &Sandbox, reading: Reading) -> Result<Playable> {
    let found = load(
        &[name.to_owned()],
        &sandbox.checkout().join("scenarios"),
        reading,
    )?;
    found.into_iter().next().context("there is no scenario")
}

fn list(scenarios: &[Playable], as_json: bool) {
    if as_json {
        let names: Vec<_> = scenarios
            .iter()
            .map(|one| json!({"name": one.name, "title": one.readme.title}))
            .collect();
        say(json!(names));
    } else {
        let mut table = Table::new(&["name", "what it shows", "steps"]);
        for one in scenarios {
            let steps = one.readme.steps.len().to_string();
            table.row([&one.name, &one.readme.title, &steps]);
        }
        say(table);
    }
}

fn load(names: &[String], folder: &Path, reading: Reading) -> Result<Vec<Playable>> {
    let known = known(folder)?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for name in names {
        // What holds a slash is a path, as a shell tells programs from paths.
        let path = PathBuf::from(name);
        if name.contains('/') {
            folders.push(path);
        } else if known.contains(name) {
            folders.push(folder.join(name));
        } else {
            let known = known.join(", ");
            return Err(Usage::error(format_args!(
                "there is no scenario {name}; there are {known}"
            )));
        }
    }
    if names.is_empty() {
        folders = known.iter().map(|name| folder.join(name)).collect();
    }
    folders
        .iter()
        .map(|folder| Playable::load(folder, reading))
        .collect()
}

fn known(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder);
    let mut names = Vec::new();
    for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.join("README.md").is_file() {
            names.extend(
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}

/// So that the `./sandbox` of a step means the stack that this one means, also when that was named by options. Docker Compose
/// has its own ideas of it, in `.env`.
fn variables(sandbox: &Sandbox, way: Way) -> BTreeMap<String, String> {
    let mode = |name: &str| ("SANDBOX_MODE".to_owned(), name.to_owned());
    match way {
        Way::Docker => BTreeMap::from([mode("docker")]),
        Way::Local => local(sandbox).chain([mode("local")]).collect(),
    }
}

fn local(sandbox: &Sandbox) -> impl Iterator<Item = (String, String)> {
    let settings = sandbox.settings();
    let variables = [
        ("SANDBOX_HOME", sandbox.home().display().to_string()),
        ("NAME_PREFIX", settings.name_prefix.to_string()),
        ("BIND_ADDR", settings.bind_addr.to_string()),
        ("ORDER_PORT", settings.order_port.to_string()),
        ("PAYMENT_PORT", settings.payment_port.to_string()),
        ("INVENTORY_PORTS", settings.inventory_ports.to_string()),
        (
            "LOAD_GENERATOR_PORT",
            settings.load_generator_port.to_string(),
        ),
        ("LAG_MONITOR_PORT", settings.lag_monitor_port.to_string()),
        ("KAFKA_PORT", settings.kafka_port.to_string()),
        ("POSTGRES_PORT", settings.postgres_port.to_string()),
        ("PROMETHEUS_PORT", settings.prometheus_port.to_string()),
    ];
    let variables = variables.into_iter();
    variables.map(|(name, value)| (name.to_owned(), value))
}
