//! Which blocks of a README are steps.
//!
//! * ```` ```sh ```` is a step; its name is the heading above it. `sh local` and `sh docker` are steps in one mode only; `sh fails` is
//!   a step that must fail, but not by a script error; `sh short` is a step only with `--short`: it makes numbers smaller.
//! * ```` ```text expect ```` is the expected output of the step before it. Any other block is illustration.
//! * A heading that ends in `(≤ 10 min)` gives its steps more time, 15 minutes at most.
//! * Steps under a heading `Restore` always run, at the end.
//!
//! Own code, not pulldown-cmark: an error must name the line of a block that is never closed, which CommonMark accepts silently.

use std::time::Duration;

use stack::Mode;

/// The longest that a step may take. Several times the default of a wait, so that a wait fails first and reports its last observation.
const LIMIT: Duration = Duration::from_secs(300);

/// The longest that a heading can allow.
const MOST: Duration = Duration::from_secs(900);

/// Selects the blocks of a README that are steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// The mode of the stack. Blocks of the other mode are skipped.
    pub mode: Mode,
    /// Whether blocks marked `short` are steps.
    pub short: bool,
}

/// How a step must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// It must succeed.
    Succeed,
    /// It must fail, but not by a script error: a negative control.
    Fail,
}

/// A block that is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The heading above it.
    pub name: String,
    /// The script for bash.
    pub script: String,
    /// How it must end.
    pub must: Expectation,
    /// Its time limit.
    pub limit: Duration,
    /// Its expected output, in which `…` stands for anything.
    pub expected: Option<String>,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readme {
    /// Its first heading.
    pub title: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The steps of the section `Restore`.
    pub restore: Vec<Step>,
}

/// An error in a README, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct InvalidReadme {
    line: usize,
    problem: String,
}

/// Reads a README.
pub fn read(text: &str, options: ReadOptions) -> Result<Readme, InvalidReadme> {
    let mut reader = Reader::default();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let at = |problem: String| InvalidReadme {
            line: number + 1,
            problem,
        };
        if let Some(heading) = heading(line) {
            reader.heading(heading).map_err(at)?;
            continue;
        }
        let Some((fence, info)) = fence(line) else {
            continue;
        };
        let closes = |line: &str| {
            line.trim_end().starts_with(fence) && line.trim_end_matches('`').is_empty()
        };
        let mut block = String::new();
        loop {
            let Some((_, line)) = lines.next() else {
                return Err(at("this block is never closed".to_owned()));
            };
            if closes(line.trim_end()) {
                break;
            }
            block.push_str(line);
            block.push('\n');
        }
        reader.block(info, block, options).map_err(at)?;
    }
    reader.finish()
}

/// Level and text: `## Restore`.
fn heading(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let text = text.strip_prefix(' ')?.trim();
    (1..=6).contains(&level).then_some((level, text))
}

/// The backticks of an opening fence, and the words after them.
fn fence(line: &str) -> Option<(&str, &str)> {
    let info = line.trim_start_matches('`');
    let (fence, _) = line.split_at(line.len() - info.len());
    (fence.len() >= 3).then_some((fence, info.trim()))
}

/// The kind of the previous block, to which an expectation belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PreviousBlock {
    Nothing,
    Step,
    Skipped,
}

struct Reader {
    title: Option<String>,
    heading: String,
    limit: Duration,
    restoring: Option<usize>,
    blocks_here: usize,
    before: PreviousBlock,
    steps: Vec<Step>,
    restore: Vec<Step>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            title: None,
            heading: String::new(),
            limit: LIMIT,
            restoring: None,
            blocks_here: 0,
            before: PreviousBlock::Nothing,
            steps: Vec::new(),
            restore: Vec::new(),
        }
    }
}

impl Reader {
    fn heading(&mut self, (level, text): (usize, &str)) -> Result<(), String> {
        let (name, limit) = match text.rsplit_once("(≤") {
            None => (text, LIMIT),
            Some((name, limit)) => (name.trim(), self::limit(limit)?),
        };
        if self.title.is_none() {
            self.title = Some(name.to_owned());
        }
        // A section lasts until the next heading of its level, or of a higher one.
        if name == "Restore" {
            self.restoring = Some(level);
        } else if self.restoring.is_some_and(|restore| level <= restore) {
            self.restoring = None;
        }
        name.clone_into(&mut self.heading);
        self.limit = limit;
        self.blocks_here = 0;
        Ok(())
    }

    fn block(&mut self, info: &str, block: String, options: ReadOptions) -> Result<(), String> {
        let words: Vec<&str> = info.split_whitespace().collect();
        match words.as_slice() {
            ["sh", marks @ ..] => self.step(marks, block, options),
            ["text", "expect"] => self.expectation(block),
            ["text", unknown, ..] => Err(format!("text {unknown}: only `text expect` is known")),
            _ => Ok(()),
        }
    }

    fn step(&mut self, marks: &[&str], script: String, options: ReadOptions) -> Result<(), String> {
        let (mut only, mut must, mut short) = (None, Expectation::Succeed, false);
        for mark in marks {
            match *mark {
                "local" => only = Some(Mode::Local),
                "docker" => only = Some(Mode::Docker),
                "fails" => must = Expectation::Fail,
                "short" => short = true,
                other => {
                    return Err(format!(
                        "sh {other}: only local, docker, fails and short are known"
                    ));
                }
            }
        }
        if only.is_some_and(|only| only != options.mode) || (short && !options.short) {
            self.before = PreviousBlock::Skipped;
            return Ok(());
        }
        self.blocks_here += 1;
        let step = Step {
            name: match self.blocks_here {
                1 => self.heading.clone(),
                number => format!("{} ({number})", self.heading),
            },
            script,
            must,
            limit: self.limit,
            expected: None,
        };
        self.section().push(step);
        self.before = PreviousBlock::Step;
        Ok(())
    }

    fn expectation(&mut self, text: String) -> Result<(), String> {
        let before = std::mem::replace(&mut self.before, PreviousBlock::Nothing);
        match (before, self.section().last_mut()) {
            (PreviousBlock::Skipped, _) => Ok(()),
            (PreviousBlock::Step, Some(step)) => {
                step.expected = Some(text);
                Ok(())
            }
            _ => Err("there is no step before this expectation".to_owned()),
        }
    }

    fn section(&mut self) -> &mut Vec<Step> {
        if self.restoring.is_some() {
            &mut self.restore
        } else {
            &mut self.steps
        }
    }

    fn finish(self) -> Result<Readme, InvalidReadme> {
        let at_the_end = |problem: &str| InvalidReadme {
            line: 1,
            problem: problem.to_owned(),
        };
        if self.steps.is_empty() {
            return Err(at_the_end("there is no ```sh block to execute"));
        }
        Ok(Readme {
            title: self
                .title
                .ok_or_else(|| at_the_end("there is no heading"))?,
            steps: self.steps,
            restore: self.restore,
        })
    }
}

/// `10 min)`
fn limit(text: &str) -> Result<Duration, String> {
    let wrong = || format!("(≤{text}: must be (≤ N min), 15 minutes at most");
    let minutes = text.trim().strip_suffix("min)").ok_or_else(wrong)?;
    let minutes: u64 = minutes.trim().parse().map_err(|_| wrong())?;
    let limit = Duration::from_secs(minutes.saturating_mul(60));
    if limit.is_zero() || limit > MOST {
        Err(wrong())
    } else {
        Ok(limit)
    }
}

#[cfg(test)]
mod tests;
