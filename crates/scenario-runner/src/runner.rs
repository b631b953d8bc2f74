//! A scenario from its first step to its restoration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::time::Instant;

use crate::expected::fits;
use crate::progress::Narrator;
use crate::readme::{self, Must, Reading, Readme, Step};
use crate::shell::{End, Ran, Shell};
use stack::interrupt::{InterruptGuard, Interrupted};

/// A scenario that can be played.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name of its folder.
    pub name: String,
    /// What is in its README.
    pub readme: Readme,
}

impl Scenario {
    /// The scenario in this folder.
    pub fn load(folder: &Path, reading: Reading) -> Result<Self> {
        let file = folder.join("README.md");
        let text = std::fs::read_to_string(&file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        let readme = readme::read(&text, reading);
        let readme = readme.map_err(|error| anyhow!("{}: {error}", file.display()))?;
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            readme,
        })
    }
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It did as it must.
    Pass,
    /// It did not, and why.
    Fail(String),
    /// It was not begun, since one before it failed or somebody said stop.
    Skipped,
}

/// A step, and what became of it.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// When it began; `None` if it did not.
    pub begun: Option<Instant>,
    /// How long it took.
    pub took: Duration,
    /// All it printed.
    pub output: String,
}

/// What became of a scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Its steps, then those that restore.
    pub steps: Vec<StepOutcome>,
    /// Whether somebody pressed Ctrl-C, or said stop.
    pub stopped: bool,
}

impl Outcome {
    /// Whether every step passed, and none was left out.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.verdict == Verdict::Pass)
    }
}

/// Where scenarios run, and with which variables besides those of this program.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The root of the repository.
    pub root: PathBuf,
    /// What tells `./sandbox` which stack is meant.
    pub variables: BTreeMap<String, String>,
}

impl Stage {
    /// Plays a scenario: its steps in one bash until one fails, then, in any case and in a bash of its own, what restores. An
    /// error only if there is no bash to play in.
    pub async fn play(
        &self,
        scenario: &Scenario,
        guard: &InterruptGuard,
        narrator: &Narrator,
    ) -> Result<Outcome> {
        narrator.begin(scenario);
        let mut outcome = Outcome {
            name: scenario.name.clone(),
            steps: Vec::new(),
            stopped: false,
        };
        let mut shell = self.shell()?;
        for step in &scenario.readme.steps {
            let done = match outcome.passed() && !outcome.stopped {
                true => {
                    self.step(step, &mut shell, guard, narrator, &mut outcome.stopped)
                        .await
                }
                false => skipped(step),
            };
            narrator.after(&done);
            outcome.steps.push(done);
        }
        shell.end().await?;
        for step in &scenario.readme.restore {
            narrator.before(step);
            let mut shell = self.shell()?;
            let done = run(step, &mut shell, narrator).await;
            shell.end().await?;
            let done = done.unwrap_or_else(|error| failed(step, format!("{error:#}")));
            narrator.after(&done);
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
        narrator: &Narrator,
        stopped: &mut bool,
    ) -> StepOutcome {
        narrator.before(step);
        match guard.unless_interrupted(narrator.may_go_on()).await {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                *stopped = true;
                return skipped(step);
            }
        }
        let begun = Instant::now();
        match guard.unless_interrupted(run(step, shell, narrator)).await {
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

async fn run(step: &Step, shell: &mut Shell, narrator: &Narrator) -> Result<StepOutcome> {
    let begun = Instant::now();
    let ran = shell.run(step, |line| narrator.line(line)).await?;
    Ok(StepOutcome {
        name: step.name.clone(),
        verdict: judge(step, &ran),
        begun: Some(begun),
        took: begun.elapsed(),
        output: ran.output,
    })
}

fn judge(step: &Step, ran: &Ran) -> Verdict {
    let fail = |reason: String| Verdict::Fail(reason);
    match (ran.end, step.must) {
        (End::TooLate, _) => fail(format!("took longer than {} s", step.limit.as_secs())),
        (End::Shell(0), _) => fail("ended the shell that the next steps need".to_owned()),
        (End::Shell(code), _) => fail(format!("exit code {code}")),
        (End::Code(0), Must::Fail) => fail("succeeded, but must fail".to_owned()),
        (End::Code(code), Must::Fail) if is_slip(code, &ran.output) => fail(format!(
            "exit code {code}: it failed by a slip, and not for what it must fail for"
        )),
        (End::Code(code @ 1..), Must::Succeed) => fail(format!("exit code {code}")),
        (End::Code(_), _) => match &step.expected {
            Some(expected) if !fits(expected, &ran.output) => fail(format!(
                "printed something else than expected: {}",
                expected.trim_end()
            )),
            _ => Verdict::Pass,
        },
    }
}

/// Whether a control failed only because it is written wrongly: then it would prove anything. 2 is a call or a script that is wrong
/// (as this program, bash and most others say it), 126 and 127 a command that cannot be run or is not there, and above 128 a signal
/// ended it. A variable that is not set has no code of its own.
fn is_slip(code: i32, output: &str) -> bool {
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
        verdict: Verdict::Skipped,
        begun: None,
        took: Duration::ZERO,
        output: String::new(),
    }
}

fn failed(step: &Step, reason: String) -> StepOutcome {
    StepOutcome {
        verdict: Verdict::Fail(reason),
        ..skipped(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::Mode;

    const READING: Reading = Reading {
        mode: Mode::Local,
        short: false,
    };
    use stack::interrupt::Interrupt;

    async fn play(text: &str) -> (Outcome, tempfile::TempDir) {
        let root = tempfile::tempdir().unwrap();
        // As a person may have set it: one of two names.
        let variables = [
            ("STACK", "of the test"),
            ("NO_PROXY", "shop.example"),
            ("no_proxy", ""),
        ];
        let stage = Stage {
            root: root.path().to_owned(),
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        let readme = readme::read(text, READING).unwrap();
        let scenario = Scenario {
            name: "test".to_owned(),
            readme,
        };
        let guard = Interrupt::default().guard().unwrap();
        let outcome = stage
            .play(&scenario, &guard, &Narrator::silent())
            .await
            .unwrap();
        (outcome, root)
    }

    fn verdicts(outcome: &Outcome) -> Vec<String> {
        let verdict = |step: &StepOutcome| match &step.verdict {
            Verdict::Pass => format!("{}: pass", step.name),
            Verdict::Fail(reason) => format!("{}: {reason}", step.name),
            Verdict::Skipped => format!("{}: skipped", step.name),
        };
        outcome.steps.iter().map(verdict).collect()
    }

    #[tokio::test]
    async fn what_one_step_sets_the_next_one_knows_and_each_begins_at_the_root() {
        let readme = "# A\n```sh\nID=7\nmkdir sub\ncd sub\n```\n## B\n```sh\nls -d sub; echo \"$ID $STACK\"\n```\n\
            ```text expect\nsub\n7 of the test\n```\n";
        let (outcome, _root) = play(readme).await;
        assert_eq!(verdicts(&outcome), ["A: pass", "B: pass"]);
    }

    #[tokio::test]
    async fn no_step_asks_a_proxy_for_what_is_on_this_machine() {
        let readme = "# A\n```sh\nNAMES=\"$NO_PROXY $no_proxy\"\nprintenv NO_PROXY no_proxy\n```\n\
            ```text expect\nshop.example,127.0.0.1,localhost\nshop.example,127.0.0.1,localhost\n```\n\
            ## B\n```sh\n[ \"$NO_PROXY $no_proxy\" = \"$NAMES\" ]\n```\n";
        let (outcome, _root) = play(readme).await;
        assert_eq!(verdicts(&outcome), ["A: pass", "B: pass"]);
    }

    #[tokio::test]
    async fn after_a_step_that_fails_nothing_runs_but_what_restores() {
        for failing in [
            "false\necho not reached",
            "false | cat",
            "echo $UNSET",
            "exit 1",
            "kill -9 $$",
        ] {
            let readme = format!(
                "# A\n```sh\necho seen\n{failing}\n```\n## B\n```sh\ntouch b\n```\n## Restore\n```sh\ntouch restored\n```\n"
            );
            let (outcome, root) = play(&readme).await;
            assert!(!outcome.passed(), "{failing}");
            let verdicts = verdicts(&outcome);
            assert!(
                verdicts[0].starts_with("A: exit code"),
                "{failing}: {verdicts:?}"
            );
            assert_eq!(verdicts[1..], ["B: skipped", "Restore: pass"], "{failing}");
            assert!(
                outcome.steps[0].output.starts_with("seen\n"),
                "{:?}",
                outcome.steps[0].output
            );
            assert!(!outcome.steps[0].output.contains("not reached"));
            assert!(root.path().join("restored").exists() && !root.path().join("b").exists());
        }
    }

    #[tokio::test]
    async fn a_step_that_must_fail_does_so_at_its_first_command_and_spares_the_shell() {
        let readme = "# A\n```sh\nID=7\n```\n## B\n```sh fails\nID=8\nfalse\ntouch too-far\n```\n## C\n```sh\necho $ID\n```\n```text expect\n7\n```\n";
        let (outcome, root) = play(readme).await;
        assert_eq!(verdicts(&outcome), ["A: pass", "B: pass", "C: pass"]);
        assert!(!root.path().join("too-far").exists());
        let (outcome, _root) = play("# A\n```sh fails\ntrue\n```\n").await;
        assert_eq!(verdicts(&outcome), ["A: succeeded, but must fail"]);
    }

    #[tokio::test]
    async fn a_step_that_must_fail_does_not_do_so_by_a_slip() {
        for (slip, code) in [
            ("exit 2", 2),
            ("if then", 2),
            ("./", 126),
            ("no-such-command-at-all", 127),
            ("kill -9 $BASHPID", 137),
            ("echo $UNSET", 1),
        ] {
            let (outcome, _root) = play(&format!("# A\n```sh fails\n{slip}\n```\n")).await;
            let expected = format!("A: exit code {code}: it failed by a slip");
            let verdicts = verdicts(&outcome);
            assert!(verdicts[0].starts_with(&expected), "{slip}: {verdicts:?}");
        }
        // As curl ends when it is answered with 404.
        for failure in ["false", "[ 1 = 2 ]", "exit 22"] {
            let (outcome, _root) = play(&format!("# A\n```sh fails\n{failure}\n```\n")).await;
            assert_eq!(verdicts(&outcome), ["A: pass"], "{failure}");
        }
    }

    #[tokio::test]
    async fn a_step_that_prints_something_else_than_it_says_has_failed() {
        let readme = |expected| {
            format!("# A\n```sh\necho one; printf two >&2\n```\n```text expect\n{expected}\n```\n")
        };
        let (outcome, _root) = play(&readme("o…\ntwo")).await;
        assert_eq!(verdicts(&outcome), ["A: pass"]);
        let (outcome, _root) = play(&readme("one")).await;
        assert_eq!(
            verdicts(&outcome),
            ["A: printed something else than expected: one"]
        );
    }

    #[tokio::test]
    async fn a_step_that_takes_too_long_is_ended_with_all_it_started() {
        let mut readme = readme::read(
            "# A\n```sh\nsleep 300 & echo $! >pid; cat /dev/zero >/dev/null\n```\n",
            READING,
        )
        .unwrap();
        readme.steps[0].limit = Duration::from_millis(300);
        let root = tempfile::tempdir().unwrap();
        let stage = Stage {
            root: root.path().to_owned(),
            variables: BTreeMap::new(),
        };
        let scenario = Scenario {
            name: "test".to_owned(),
            readme,
        };
        let guard = Interrupt::default().guard().unwrap();
        let outcome = stage
            .play(&scenario, &guard, &Narrator::silent())
            .await
            .unwrap();
        assert_eq!(verdicts(&outcome), ["A: took longer than 0 s"]);
        let pid: i32 = std::fs::read_to_string(root.path().join("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let left = procfs::process::Process::new(pid).and_then(|process| process.stat());
        assert!(left.is_err(), "{left:?}");
    }

    #[tokio::test]
    async fn what_a_step_leaves_running_does_not_keep_it_from_ending() {
        let (outcome, _root) = play("# A\n```sh\nsleep 300 &\nfalse\n```\n").await;
        assert_eq!(verdicts(&outcome), ["A: exit code 1"]);
        let (outcome, _root) = play("# A\n```sh\nsleep 300 &\n```\n").await;
        assert_eq!(verdicts(&outcome), ["A: pass"]);
    }
}
