//! `sandbox scenario`: runs the steps of the READMEs in `scenarios/`, and compares their output with what the README shows.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use scenario_runner::progress::{self, ProgressPrinter};
use scenario_runner::readme::ReadOptions;
use scenario_runner::runner::{Runner, Scenario as Playable, ScenarioOutcome};
use serde_json::json;
use stack::layout::StackLayout;
use stack::terminal::{Table, Usage, say};
use stack::{MODE_VARIABLE, Mode};

/// The scenarios, and how to run them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox scenario --list\n  ./sandbox scenario dead-letter --step\n  ./sandbox scenario --all            all scenarios, one after the other\n  ./sandbox scenario ./my-scenario    a scenario of your own\n  ./sandbox scenario consumer-lag --short"
)]
pub struct Scenario {
    /// Names of folders in scenarios/, or a path to another folder with a README.md
    pub names: Vec<String>,

    /// All scenarios in scenarios/. Most of them begin with a reset of the shop
    #[arg(long, conflicts_with = "names")]
    pub all: bool,

    /// Only list the scenarios
    #[arg(long)]
    pub list: bool,

    /// Wait for Enter before each step
    #[arg(long, conflicts_with = "json")]
    pub step: bool,

    /// The mode of the stack: blocks of the other mode are left out
    #[arg(long, env = MODE_VARIABLE, value_enum, default_value_t = Mode::Local)]
    pub mode: Mode,

    /// The same steps with smaller numbers, where the scenario has some
    #[arg(long)]
    pub short: bool,

    /// Print JSON, with the output of every step
    #[arg(long)]
    pub json: bool,
}

/// Runs the scenarios one after the other, in order of their names.
pub async fn run(args: Scenario, layout: &StackLayout) -> Result<()> {
    if args.step && !std::io::stdin().is_terminal() {
        return Err(Usage::error(
            "--step waits for Enter before each step, so it needs a terminal",
        ));
    }
    let reading = ReadOptions {
        mode: args.mode,
        short: args.short,
    };
    let scenarios = load(&args.names, &layout.checkout().join("scenarios"), reading)?;
    let names_none = args.names.is_empty() && !args.all;
    if args.list || names_none {
        list(&scenarios, args.json);
    }
    if args.list {
        return Ok(());
    }
    if names_none {
        return Err(Usage::error(
            "which scenario? ./sandbox scenario NAME runs one; --all runs all of them, and resets the shop",
        ));
    }
    let stage = stage(layout, args.mode);
    let narrator = if args.json {
        ProgressPrinter::silent()
    } else {
        ProgressPrinter::new(args.step)
    };
    let guard = layout.interrupt().guard()?;
    let mut outcomes = Vec::new();
    for scenario in &scenarios {
        let outcome = stage.play(scenario, &guard, &narrator).await?;
        let stopped = outcome.stopped;
        outcomes.push(outcome);
        if stopped {
            break;
        }
    }
    if args.json {
        say(serde_json::to_string_pretty(&progress::json(&outcomes))?);
    } else {
        say(format_args!("\n{}", progress::table(&outcomes)));
    }
    verdict(&outcomes)
}

/// The environment of the steps of this stack.
pub(super) fn stage(layout: &StackLayout, mode: Mode) -> Runner {
    Runner {
        root: layout.checkout().to_owned(),
        variables: variables(layout, mode),
    }
}

/// Fails if a step failed, with its name, or if the person stopped before the end.
pub(super) fn verdict(outcomes: &[ScenarioOutcome]) -> Result<()> {
    if let Some(failure) = progress::first_failure(outcomes) {
        bail!("{failure}");
    }
    if !outcomes.iter().all(ScenarioOutcome::passed) {
        bail!("stopped before the end");
    }
    Ok(())
}

/// The scenario of this name, or of the folder at this path.
pub(super) fn one(name: &str, layout: &StackLayout, reading: ReadOptions) -> Result<Playable> {
    let found = load(
        &[name.to_owned()],
        &layout.checkout().join("scenarios"),
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

fn load(names: &[String], folder: &Path, reading: ReadOptions) -> Result<Vec<Playable>> {
    let known = scenario_names(folder)?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for name in names {
        // A name with a slash is a path, as in a shell.
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

fn scenario_names(folder: &Path) -> Result<Vec<String>> {
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

/// The environment of a step: its `./sandbox` must address the same stack, even if that stack was given by options. In Docker
/// mode, Compose reads `.env`.
fn variables(layout: &StackLayout, mode: Mode) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([(MODE_VARIABLE.to_owned(), mode.name().to_owned())]);
    if mode == Mode::Local {
        let settings = layout.settings();
        let place = [
            ("SANDBOX_HOME", layout.home().display().to_string()),
            ("NAME_PREFIX", settings.name_prefix.to_string()),
            ("BIND_ADDR", settings.bind_addr.to_string()),
        ];
        let place = place.into_iter().chain(settings.ports.variables());
        variables.extend(place.map(|(name, value)| (name.to_owned(), value)));
    }
    variables
}
