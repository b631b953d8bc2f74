//! Runs a scenario: its steps, then its section `Restore`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::time::Instant;

use crate::expected::matches_expected;
use crate::progress::ProgressPrinter;
use crate::readme::{self, Expectation, ReadOptions, Readme, Step};
use crate::shell::{Shell, StepEnd, StepRun};
use stack::interrupt::{InterruptGuard, Interrupted};

/// A scenario that can be run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name of its folder.
    pub name: String,
    /// The parsed README.
    pub readme: Readme,
}

impl Scenario {
    /// The scenario in this folder.
    pub fn load(folder: &Path, options: ReadOptions) -> Result<Self> {
        let file = folder.join("README.md");
        let text = std::fs::read_to_string(&file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        let readme = readme::read(&text, options);
        let readme = readme.map_err(|error| anyhow!("{}: {error}", file.display()))?;
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            readme,
        })
    }
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepVerdict {
    /// The step succeeded or failed as its block says.
    Pass,
    /// It did not; the reason.
    Fail(String),
    /// It was not started, because an earlier step failed or the run was interrupted.
    Skipped,
}

/// A step and its result.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// Its name.
    pub name: String,
    /// Its result.
    pub verdict: StepVerdict,
    /// When it started; `None` if it was skipped.
    pub begun: Option<Instant>,
    /// How long it took.
    pub took: Duration,
    /// Its output.
    pub output: String,
}

/// The result of a scenario.
#[derive(Debug, Clone)]
pub struct ScenarioOutcome {
    /// Its name.
    pub name: String,
    /// Its steps, then the steps of `Restore`.
    pub steps: Vec<StepOutcome>,
    /// Whether a person interrupted the run.
    pub stopped: bool,
}

impl ScenarioOutcome {
    /// Whether every step passed and none was skipped.
    pub fn passed(&self) -> bool {
        self.steps
            .iter()
            .all(|step| step.verdict == StepVerdict::Pass)
    }
}

/// Runs scenarios in a folder, with variables in addition to those of this program.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The root of the repository.
    pub root: PathBuf,
    /// The variables that select the stack for `./sandbox`.
    pub variables: BTreeMap<String, String>,
}

impl Runner {
    /// Runs a scenario: its steps in one bash until a step fails, then always each step of `Restore` in a bash of its own. An error
    /// only if bash cannot be started.
    pub async fn play(
        &self,
        scenario: &Scenario,
        guard: &InterruptGuard,
        progress: &ProgressPrinter,
    ) -> Result<ScenarioOutcome> {
        progress.begin(scenario);
        let mut outcome = ScenarioOutcome {
            name: scenario.name.clone(),
            steps: Vec::new(),
            stopped: false,
        };
        let mut shell = self.shell()?;
        for step in &scenario.readme.steps {
            let done = match outcome.passed() && !outcome.stopped {
                true => {
                    self.step(step, &mut shell, guard, progress, &mut outcome.stopped)
                        .await
                }
                false => skipped(step),
            };
            progress.after(&done);
            outcome.steps.push(done);
        }
        shell.end().await?;
        for step in &scenario.readme.restore {
            progress.before(step);
            let mut shell = self.shell()?;
            let done = run(step, &mut shell, progress).await;
            shell.end().await?;
            let done = done.unwrap_or_else(|error| failed(step, format!("{error:#}")));
            progress.after(&done);
            outcome.steps.push(done);
        }
        Ok(outcome)
    }

    fn shell(&self) -> Result<Shell> {
        Shell::start(&self.root, &self.variables)
    }

    async fn step(
        &self,
        step: &Step,
        shell: &mut Shell,
        guard: &InterruptGuard,
        progress: &ProgressPrinter,
        stopped: &mut bool,
    ) -> StepOutcome {
        progress.before(step);
        match guard.unless_interrupted(progress.may_go_on()).await {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                *stopped = true;
                return skipped(step);
            }
        }
        let begun = Instant::now();
        match guard.unless_interrupted(run(step, shell, progress)).await {
            Ok(done) => done,
            Err(error) => {
                *stopped = error.is::<Interrupted>();
                StepOutcome {
                    begun: Some(begun),
                    took: begun.elapsed(),
                    ..failed(step, format!("{error:#}"))
                }
            }
        }
    }
}

async fn run(step: &Step, shell: &mut Shell, progress: &ProgressPrinter) -> Result<StepOutcome> {
    let begun = Instant::now();
    let ran = shell.run(step, |line| progress.line(line)).await?;
    Ok(StepOutcome {
        name: step.name.clone(),
        verdict: judge(step, &ran),
        begun: Some(begun),
        took: begun.elapsed(),
        output: ran.output,
    })
}

fn judge(step: &Step, ran: &StepRun) -> StepVerdict {
    let fail = |reason: String| StepVerdict::Fail(reason);
    match (ran.end, step.must) {
        (StepEnd::TooLate, _) => fail(format!("took longer than {} s", step.limit.as_secs())),
        (StepEnd::Shell(0), _) => fail("ended the shell of the following steps".to_owned()),
        (StepEnd::Shell(code), _) => fail(format!("exit code {code}")),
        (StepEnd::Code(0), Expectation::Fail) => fail("succeeded, but must fail".to_owned()),
        (StepEnd::Code(code), Expectation::Fail) if is_script_error(code, &ran.output) => fail(
            format!("exit code {code}: the step itself is wrong, so its failure proves nothing"),
        ),
        (StepEnd::Code(code @ 1..), Expectation::Succeed) => fail(format!("exit code {code}")),
        (StepEnd::Code(_), _) => match &step.expected {
            Some(expected) if !matches_expected(expected, &ran.output) => fail(format!(
                "unexpected output, expected: {}",
                expected.trim_end()
            )),
            _ => StepVerdict::Pass,
        },
    }
}

/// Whether a negative control failed only because its script is wrong; such a failure proves nothing. Exit code 2 is wrong usage (of
/// this program, of bash and of most others), 126 and 127 a command that cannot be executed or found, and above 128 a signal. An unset
/// variable has no exit code of its own.
fn is_script_error(code: i32, output: &str) -> bool {
    let unset = || {
        output
            .lines()
            .any(|line| line.ends_with(": unbound variable"))
    };
    matches!(code, 2 | 126 | 127 | 129..) || unset()
}

fn skipped(step: &Step) -> StepOutcome {
    StepOutcome {
        name: step.name.clone(),
        verdict: StepVerdict::Skipped,
        begun: None,
        took: Duration::ZERO,
        output: String::new(),
    }
}

fn failed(step: &Step, reason: String) -> StepOutcome {
    StepOutcome {
        verdict: StepVerdict::Fail(reason),
        ..skipped(step)
    }
}

#[cfg(test)]
mod tests;
