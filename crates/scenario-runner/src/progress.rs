//! What is printed while a scenario runs, and its result.

use std::io::{BufRead, stdin};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::readme::Step;
use crate::runner::{Scenario, ScenarioOutcome, StepOutcome, StepVerdict};
use stack::terminal::{Table, note, say};

/// Characters of a step's last line in the table.
const SEEN: usize = 80;

/// Prints the steps and their output.
#[derive(Debug, Clone, Copy)]
pub struct ProgressPrinter {
    speaks: bool,
    asks: bool,
}

impl ProgressPrinter {
    /// Shows every step with what it prints; if it `asks`, waits for Enter before each.
    pub fn new(asks: bool) -> Self {
        Self { speaks: true, asks }
    }

    /// Says nothing: for JSON, and tests.
    pub fn silent() -> Self {
        Self {
            speaks: false,
            asks: false,
        }
    }

    pub(super) fn begin(self, scenario: &Scenario) {
        if self.speaks {
            say(format_args!(
                "\n━━ {}: {}",
                scenario.name, scenario.readme.title
            ));
        }
    }

    pub(super) fn before(self, step: &Step) {
        if self.speaks {
            say(format_args!("\n── {}", step.name));
            for line in step.script.lines() {
                say(format_args!("$ {line}"));
            }
        }
    }

    /// Whether the person, if one is asked, wants to go on.
    pub(super) async fn may_go_on(self) -> Result<bool> {
        if !self.asks {
            return Ok(true);
        }
        note("Enter runs it, q stops and restores");
        let (sender, answer) = oneshot::channel();
        // A thread of its own: one that waits for a key would keep the program from ending.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = stdin().lock().read_line(&mut line);
            // Nobody there to press Enter is a "no".
            let _ = sender.send(matches!(read, Ok(1..)) && line.trim() != "q");
        });
        Ok(answer.await.unwrap_or(false))
    }

    pub(super) fn line(self, line: &str) {
        if self.speaks {
            say(line);
        }
    }

    pub(super) fn after(self, step: &StepOutcome) {
        if let (true, StepVerdict::Fail(reason)) = (self.speaks, &step.verdict) {
            say(format_args!("✗ {}: {reason}", step.name));
        }
    }
}

/// One row a step: what became of it, how long it took, and the last thing it printed.
pub fn table(outcomes: &[ScenarioOutcome]) -> Table {
    let mut table = Table::new(&["scenario", "step", "verdict", "seconds", "seen"]);
    for outcome in outcomes {
        for step in &outcome.steps {
            let seconds = format!("{:.1}", step.took.as_secs_f64());
            let seen = match &step.verdict {
                StepVerdict::Fail(reason) => reason.clone(),
                StepVerdict::Pass | StepVerdict::Skipped => last_line(&step.output),
            };
            table.row([
                outcome.name.clone(),
                step.name.clone(),
                word(&step.verdict).to_owned(),
                seconds,
                cut(&seen),
            ]);
        }
    }
    table
}

/// The same for a script, with everything that was printed.
pub fn json(outcomes: &[ScenarioOutcome]) -> Value {
    let step = |step: &StepOutcome| {
        let reason = match &step.verdict {
            StepVerdict::Fail(reason) => Some(reason),
            StepVerdict::Pass | StepVerdict::Skipped => None,
        };
        json!({
            "step": step.name,
            "verdict": word(&step.verdict),
            "reason": reason,
            "seconds": step.took.as_secs_f64(),
            "output": step.output,
        })
    };
    let scenario = |outcome: &ScenarioOutcome| {
        let steps: Vec<Value> = outcome.steps.iter().map(step).collect();
        let verdict = if outcome.passed() { "PASS" } else { "FAIL" };
        json!({"scenario": outcome.name, "verdict": verdict, "steps": steps})
    };
    json!({"scenarios": outcomes.iter().map(scenario).collect::<Vec<_>>()})
}

/// The first step that failed, as `scenario: step: reason`.
pub fn first_failure(outcomes: &[ScenarioOutcome]) -> Option<String> {
    outcomes.iter().find_map(|outcome| {
        outcome.steps.iter().find_map(|step| match &step.verdict {
            StepVerdict::Fail(reason) => Some(format!("{}: {}: {reason}", outcome.name, step.name)),
            StepVerdict::Pass | StepVerdict::Skipped => None,
        })
    })
}

fn word(verdict: &StepVerdict) -> &'static str {
    match verdict {
        StepVerdict::Pass => "PASS",
        StepVerdict::Fail(_) => "FAIL",
        StepVerdict::Skipped => "SKIPPED",
    }
}

fn last_line(output: &str) -> String {
    let mut lines = output.lines().rev();
    lines
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn cut(text: &str) -> String {
    let line = text.replace('\n', " ");
    match line.char_indices().nth(SEEN) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
