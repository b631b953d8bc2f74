//! Runs test programs side by side, and shows the output of each as a whole.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::stream::{self, StreamExt};
use local_runtime::process_tree::{ProcessIdentity, Signal};
use nix::unistd::{Pid, getsid};
use stack::interrupt::InterruptGuard;
use stack::layout::StackLayout;
use stack::terminal::{note, say};
use tokio::process::Command;

use super::programs::{self, Program, Programs};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TestCounts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and programs that ended in another way than by a failed test.
    pub failed: u64,
}

impl TestCounts {
    /// Adds what a test program printed: `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, output: &str, status: ExitStatus) {
        let failed_before = self.failed;
        for line in output.lines() {
            self.count(line);
        }
        // A program that crashed has no line of its own.
        if !status.success() && self.failed == failed_before {
            self.failed += 1;
        }
    }

    fn count(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// Runs test programs.
#[derive(Debug)]
pub struct Runner {
    documentation: Program,
    cargo_arguments: Vec<std::ffi::OsString>,
    filter: Option<String>,
    jobs: usize,
    variables: Vec<(&'static str, String)>,
}

/// A program that ended.
struct Finished {
    name: String,
    output: String,
    status: ExitStatus,
    took: Duration,
}

impl Runner {
    /// Runs the tests whose name contains `filter`, `jobs` programs side by side, and one program of unit tests beside them: unit
    /// tests are bound by the processor, so two of them together would gain nothing and delay the others.
    pub fn new(layout: &StackLayout, filter: Option<String>, jobs: usize) -> Self {
        let mut cargo = programs::cargo(layout);
        cargo.arg("--doc");
        Self {
            documentation: Program {
                name: "examples in the documentation".to_owned(),
                path: cargo.as_std().get_program().into(),
                crate_folder: layout.checkout().to_owned(),
            },
            cargo_arguments: cargo.as_std().get_args().map(Into::into).collect(),
            filter,
            jobs,
            variables: Vec::new(),
        }
    }

    /// Sets an environment variable of every program.
    pub fn set(&mut self, name: &'static str, value: String) {
        self.variables.push((name, value));
    }

    /// Runs all programs and shows the output of each when it has ended. On an interrupt every
    /// program ends.
    pub async fn run(&self, programs: Programs, guard: &InterruptGuard) -> Result<TestCounts> {
        let documentation = std::iter::once((&self.documentation, &self.cargo_arguments[..]));
        let units = programs.unit.iter().map(|program| (program, &[][..]));
        let units = stream::iter(units.chain(documentation))
            .map(|(program, arguments)| self.run_one(program, arguments))
            .buffer_unordered(1);
        let integration = stream::iter(&programs.integration)
            .map(|program| self.run_one(program, &[]))
            .buffer_unordered(self.jobs);
        let mut all = stream::select(integration, units);
        guard
            .unless_interrupted(async {
                let mut counts = TestCounts::default();
                while let Some(finished) = all.next().await {
                    let finished = finished?;
                    counts.add(&finished.output, finished.status);
                    finished.show();
                }
                Ok(counts)
            })
            .await
    }

    async fn run_one(
        &self,
        program: &Program,
        arguments: &[std::ffi::OsString],
    ) -> Result<Finished> {
        let began = Instant::now();
        let name = &program.name;
        note(format_args!("running {name}"));
        let mut output = tempfile::tempfile().context("cannot create a temporary file")?;
        let mut command = self.command(program, arguments);
        command.stdout(writer(&output)?).stderr(writer(&output)?);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let mut tree = KillOnDrop(pid.map(ProcessIdentity::of).transpose()?.flatten());
        let status = child.wait().await;
        let status = status.with_context(|| format!("cannot wait for {name}"))?;
        tree.0 = None;
        Ok(Finished {
            name: name.clone(),
            output: read(&mut output)?,
            status,
            took: began.elapsed(),
        })
    }

    fn command(&self, program: &Program, arguments: &[std::ffi::OsString]) -> Command {
        let mut command = Command::new(&program.path);
        command.args(arguments).args(self.filter.iter());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // As cargo does for a test program.
        command.env("CARGO_MANIFEST_DIR", &program.crate_folder);
        command.current_dir(&program.crate_folder);
        command.stdin(Stdio::null());
        command
    }
}

impl Finished {
    fn show(&self) {
        say(format_args!("\n--- {}", self.name));
        say(self.output.trim_end());
        if !self.status.success() {
            say(format_args!("--- {}: {}", self.name, self.status));
        }
        say(format_args!(
            "took {} s: {}",
            self.took.as_secs(),
            self.name
        ));
    }
}

/// A test program that is killed when its run is given up, together with what it started in its
/// session. A descendant with a session of its own is left alive: it notices the end of the test
/// program, and stops the servers that belong to it.
struct KillOnDrop(Option<ProcessIdentity>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let Some(program) = &self.0 else {
            return;
        };
        let session = session_of(program);
        // Before the kill: orphans have another parent.
        let mut processes = program.descendants().unwrap_or_default();
        processes.retain(|process| session_of(process) == session);
        processes.insert(0, program.clone());
        for process in processes {
            if let Err(error) = process.signal(Signal::KILL) {
                note(format_args!(
                    "process {} may be left: {error:#}",
                    process.pid
                ));
            }
        }
    }
}

fn session_of(process: &ProcessIdentity) -> Option<Pid> {
    getsid(Some(Pid::from_raw(process.pid))).ok()
}

fn writer(file: &File) -> Result<Stdio> {
    Ok(file.try_clone().context("cannot share a file")?.into())
}

fn read(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind().context("cannot read a test's output")?;
    file.read_to_end(&mut bytes)
        .context("cannot read a test's output")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const OUTPUT: &str = "running 3 tests
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s
test a_line_that_says_test_result ... ok
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.10s
";

    #[test]
    fn results_of_all_test_programs_are_added_up_and_nothing_else() {
        let mut counts = TestCounts::default();
        counts.add(OUTPUT, ExitStatus::from_raw(0));
        assert_eq!((counts.passed, counts.failed), (5, 1));
        // A failed test makes its program fail: that is one failure and not two.
        counts.add(OUTPUT, ExitStatus::from_raw(101 << 8));
        assert_eq!((counts.passed, counts.failed), (10, 2));
    }

    #[test]
    fn a_program_that_crashes_counts_as_a_failure() {
        let mut counts = TestCounts::default();
        counts.add("running 3 tests\n", ExitStatus::from_raw(6));
        assert_eq!((counts.passed, counts.failed), (0, 1));
    }
}
