//! Which blocks of a README are steps.
//!
//! * ```` ```sh ```` is a step; its name is the heading above it. `sh local` and `sh docker` are steps in one mode
//!   only; `sh fails` is a step that must fail, and not by a slip (see `play`); `sh short` is a step only where time is short: it
//!   makes numbers smaller.
//! * ```` ```text expect ```` is what the step before it prints. Any other block is illustration.
//! * A heading that ends in `(≤ 10 min)` gives its steps more time, 15 minutes at most.
//! * Steps under a heading `Restore` run at the end, whatever happened.

use std::time::Duration;

use stack::Mode;

/// How long a step may take. Several times as long as one of its waits: a wait that is in vain says what it saw last.
const LIMIT: Duration = Duration::from_secs(300);

/// How long a step may take whose heading asks for more.
const MOST: Duration = Duration::from_secs(900);

/// Which of a README's blocks are steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The mode of the stack. Blocks of the other mode are left out.
    pub mode: Mode,
    /// Whether blocks marked `short` are some.
    pub short: bool,
}

/// What must become of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Must {
    /// It must succeed.
    Succeed,
    /// It must fail, for what it claims and not since it is written wrongly: the negative control.
    Fail,
}

/// One block that is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The heading above it.
    pub name: String,
    /// What bash executes.
    pub script: String,
    /// What must become of it.
    pub must: Must,
    /// How long it may take.
    pub limit: Duration,
    /// What it prints, with `…` for anything.
    pub expected: Option<String>,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readme {
    /// Its first heading.
    pub title: String,
    /// What a person does, in order.
    pub steps: Vec<Step>,
    /// What puts everything back.
    pub restore: Vec<Step>,
}

/// A README that cannot be executed, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Unreadable {
    line: usize,
    problem: String,
}

/// Reads a README.
pub fn read(text: &str, reading: Reading) -> Result<Readme, Unreadable> {
    let mut reader = Reader::default();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let at = |problem: String| Unreadable {
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
        reader.block(info, block, reading).map_err(at)?;
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

/// The backticks of an opening fence, and what stands behind them.
fn fence(line: &str) -> Option<(&str, &str)> {
    let info = line.trim_start_matches('`');
    let (fence, _) = line.split_at(line.len() - info.len());
    (fence.len() >= 3).then_some((fence, info.trim()))
}

/// What the block before was, to which an expectation belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Step,
    LeftOut,
}

struct Reader {
    title: Option<String>,
    heading: String,
    limit: Duration,
    restoring: Option<usize>,
    blocks_here: usize,
    before: Before,
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
            before: Before::Nothing,
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

    fn block(&mut self, info: &str, block: String, reading: Reading) -> Result<(), String> {
        let words: Vec<&str> = info.split_whitespace().collect();
        match words.as_slice() {
            ["sh", marks @ ..] => self.step(marks, block, reading),
            ["text", "expect"] => self.expectation(block),
            ["text", unknown, ..] => Err(format!("text {unknown}: only `text expect` is known")),
            _ => Ok(()),
        }
    }

    fn step(&mut self, marks: &[&str], script: String, reading: Reading) -> Result<(), String> {
        let (mut only, mut must, mut short) = (None, Must::Succeed, false);
        for mark in marks {
            match *mark {
                "local" => only = Some(Mode::Local),
                "docker" => only = Some(Mode::Docker),
                "fails" => must = Must::Fail,
                "short" => short = true,
                other => {
                    return Err(format!(
                        "sh {other}: only local, docker, fails and short are known"
                    ));
                }
            }
        }
        if only.is_some_and(|only| only != reading.mode) || (short && !reading.short) {
            self.before = Before::LeftOut;
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
        self.before = Before::Step;
        Ok(())
    }

    fn expectation(&mut self, text: String) -> Result<(), String> {
        let before = std::mem::replace(&mut self.before, Before::Nothing);
        match (before, self.section().last_mut()) {
            (Before::LeftOut, _) => Ok(()),
            (Before::Step, Some(step)) => {
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

    fn finish(self) -> Result<Readme, Unreadable> {
        let at_the_end = |problem: &str| Unreadable {
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
mod tests {
    use super::*;

    const LOCAL: Reading = Reading {
        mode: Mode::Local,
        short: false,
    };

    const DOCKER: Reading = Reading {
        mode: Mode::Docker,
        short: false,
    };

    const README: &str = "# Broken\n\
        Words.\n\
        ## Break it\n\
        ```sh\nID=1\n```\n\
        ```text expect\nconfirmed …\n```\n\
        ```sh docker\ndocker\n```\n```text expect\nof docker\n```\n\
        ```sh local fails\nfalse\n```\n\
        ```json\n{}\n```\n\
        ## Wait for long (≤ 10 min)\n\
        ````sh\n```\n````\n\
        ## Restore\n\
        ### Settings\n\
        ```sh\nrestore\n```\n\
        ## Read on\n\
        ```text\nillustration\n```\n";

    #[test]
    fn steps_are_named_by_their_heading_and_know_what_they_must_do() {
        let readme = read(README, LOCAL).unwrap();
        assert_eq!(readme.title, "Broken");
        let names: Vec<_> = readme.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["Break it", "Break it (2)", "Wait for long"]);
        let [first, second, long] = readme.steps.as_slice() else {
            panic!()
        };
        assert_eq!(first.expected.as_deref(), Some("confirmed …\n"));
        assert_eq!((second.must, second.expected.as_ref()), (Must::Fail, None));
        assert_eq!((long.limit.as_secs(), long.script.as_str()), (600, "```\n"));
        assert_eq!(first.limit.as_secs(), 300);
        let restore: Vec<_> = readme
            .restore
            .iter()
            .map(|step| step.name.as_str())
            .collect();
        assert_eq!(restore, ["Settings"]);
    }

    #[test]
    fn blocks_of_the_other_mode_are_left_out_with_their_output() {
        let docker = read(README, DOCKER).unwrap();
        let scripts: Vec<_> = docker
            .steps
            .iter()
            .map(|step| step.script.as_str())
            .collect();
        assert_eq!(scripts, ["ID=1\n", "docker\n", "```\n"]);
        assert_eq!(docker.steps[1].expected.as_deref(), Some("of docker\n"));
    }

    #[test]
    fn small_numbers_are_for_the_short_mode_only() {
        let text = "# A\n```sh\nN=1000\n```\n```sh short\nN=10\n```\n```text expect\nsmall\n```\n";
        let scripts = |reading| {
            let steps = read(text, reading).unwrap().steps.into_iter();
            steps.map(|step| step.script).collect::<Vec<_>>()
        };
        assert_eq!(scripts(LOCAL), ["N=1000\n"]);
        let short = Reading {
            short: true,
            ..LOCAL
        };
        assert_eq!(scripts(short), ["N=1000\n", "N=10\n"]);
    }

    #[test]
    fn what_cannot_be_executed_is_said_with_its_line() {
        for (text, problem) in [
            ("# A\n```sh\n", "line 2: this block is never closed"),
            (
                "# A\n```sh never\n```\n",
                "line 2: sh never: only local, docker, fails and short are known",
            ),
            (
                "# A\n```text expect\n```\n",
                "line 2: there is no step before this expectation",
            ),
            (
                "# A\n```text expects\n```\n",
                "line 2: text expects: only `text expect` is known",
            ),
            (
                "# A (≤ 16 min)\n",
                "line 1: (≤ 16 min): must be (≤ N min), 15 minutes at most",
            ),
            ("# A\nwords\n", "line 1: there is no ```sh block to execute"),
            ("```sh\n```\n", "line 1: there is no heading"),
        ] {
            assert_eq!(
                read(text, LOCAL).unwrap_err().to_string(),
                problem,
                "{text}"
            );
        }
    }

    #[test]
    fn a_step_is_expected_to_print_one_thing() {
        let twice = "# A\n```sh\n```\n```text expect\n```\n```text expect\n```\n";
        assert!(read(twice, LOCAL).is_err());
    }
}
