//! The bash of a run. All steps share it, so a step can use variables of an earlier one.
//!
//! Steps are files that this bash sources in turn. It ends at the first failing command (`-e`), at the first unset variable (`-u`), and a
//! pipe fails if any part of it fails. Standard output and standard error are one stream, as on a terminal. After a step, bash prints a
//! marker line with a random id and the exit code of the step.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::readme::{Expectation, Step};

/// How long the processes of a step may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(15);

/// How long the output of a bash that has ended is read. Only a process that it left running keeps the output open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs before the first step. The shop is on this machine, so `curl` must not use a proxy. Programs read either of the two names, so
/// both get the values of both.
const WITHOUT_PROXY: &str = concat!(
    r#"export no_proxy="${no_proxy:-${NO_PROXY:-}}" NO_PROXY="${NO_PROXY:-${no_proxy:-}}"; "#,
    r#"no_proxy="${no_proxy:+$no_proxy,}127.0.0.1,localhost"; "#,
    r#"NO_PROXY="${NO_PROXY:+$NO_PROXY,}127.0.0.1,localhost"; "#,
);

/// A running bash.
pub struct Shell {
    bash: Child,
    group: Pid,
    commands: ChildStdin,
    output: ChildStdout,
    mark: String,
    scripts: TempDir,
    count: usize,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEnd {
    /// With this exit code.
    Code(i32),
    /// The step ended its bash, with this exit code.
    Shell(i32),
    /// Not in time.
    TooLate,
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRun {
    /// How it ended.
    pub end: StepEnd,
    /// Its output.
    pub output: String,
}

impl Shell {
    /// Starts bash in this folder, with these variables in addition to those of this program. Temporary files of the steps are removed
    /// with this shell, also when a step fails before it removes them.
    pub fn start(folder: &Path, variables: &BTreeMap<String, String>) -> Result<Self> {
        let scripts = tempfile::tempdir().context("cannot make a folder for the steps")?;
        let mut bash = Command::new("bash")
            .args(["-eu", "-o", "pipefail"])
            .current_dir(folder)
            .envs(variables)
            .env("TMPDIR", scripts.path())
            // A process group of its own: Ctrl-C reaches only this program, which then ends the step and runs Restore.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start bash, which runs the steps of scenarios")?;
        let id = bash.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            group: Pid::from_raw(id.context("bash ended at once")?),
            commands: bash.stdin.take().context("bash takes no commands")?,
            output: bash.stdout.take().context("bash gives no output")?,
            mark: format!("end-of-step-{}", Uuid::new_v4()),
            scripts,
            bash,
            count: 0,
        })
    }

    /// Runs one step, and calls `show` with each line of output. After any end but [`StepEnd::Code`], bash has ended.
    pub async fn run(&mut self, step: &Step, mut show: impl FnMut(&str)) -> Result<StepRun> {
        let deadline = Instant::now() + step.limit;
        self.begin(step).await?;
        let mut output = StepOutput::new(&self.mark);
        loop {
            let mut chunk = [0; 4096];
            tokio::select! {
                biased;
                read = timeout_at(deadline, self.output.read(&mut chunk)) => match read {
                    Err(_) => {
                        self.end().await?;
                        return Ok(StepRun { end: StepEnd::TooLate, output: output.all(&mut show) });
                    }
                    Ok(read) => {
                        let read = read.context("cannot read what a step prints")?;
                        output.hear(chunk.get(..read).unwrap_or_default(), &mut show);
                        if let Some(code) = output.code() {
                            return Ok(StepRun { end: StepEnd::Code(code), output: output.all(&mut show) });
                        }
                        if read == 0 {
                            let code = self.code().await?;
                            return Ok(StepRun { end: StepEnd::Shell(code), output: output.all(&mut show) });
                        }
                    }
                },
                code = self.bash.wait() => {
                    let code = code.context("cannot wait for bash")?.code().unwrap_or(-1);
                    // A process that it left running would keep the output open.
                    self.end().await?;
                    let _ = timeout(LAST_WORDS, self.last_words(&mut output, &mut show)).await;
                    return Ok(StepRun { end: StepEnd::Shell(code), output: output.all(&mut show) });
                }
            }
        }
    }

    async fn begin(&mut self, step: &Step) -> Result<()> {
        self.count += 1;
        let script = self.scripts.path().join(format!("{}.sh", self.count));
        std::fs::write(&script, &step.script).context("cannot write down a step")?;
        let (script, mark) = (script.display(), &self.mark);
        let read = match step.must {
            Expectation::Succeed => format!(". '{script}' </dev/null; __code=0"),
            // Not in a condition: bash ignores -e there.
            Expectation::Fail => {
                format!("set +e; (set -e; . '{script}' </dev/null); __code=$?; set -e")
            }
        };
        let first = if self.count == 1 { WITHOUT_PROXY } else { "" };
        let line = format!(
            "exec 2>&1; {first}cd \"${{__root:=$PWD}}\"; {read}; printf '\\n%s %s\\n' {mark} \"$__code\"\n"
        );
        let written = self.commands.write_all(line.as_bytes()).await;
        written.context("bash takes no more commands")
    }

    async fn last_words(&mut self, output: &mut StepOutput, show: &mut impl FnMut(&str)) {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = self.output.read(&mut chunk).await {
            output.hear(chunk.get(..read).unwrap_or_default(), show);
        }
    }

    async fn code(&mut self) -> Result<i32> {
        self.end().await?;
        let status = self.bash.wait().await.context("cannot wait for bash")?;
        Ok(status.code().unwrap_or(-1))
    }

    /// Ends bash and every process of its group: SIGTERM, so that a running `./sandbox` can clean up, then SIGKILL.
    pub async fn end(&mut self) -> Result<()> {
        let deadline = Instant::now() + GRACE;
        let mut signal = Signal::SIGTERM;
        loop {
            match killpg(self.group, signal) {
                // The group is empty.
                Err(Errno::ESRCH) => return Ok(()),
                Err(error) => return Err(error).context("cannot end a step"),
                Ok(()) => {}
            }
            // Otherwise bash would stay in its group as a zombie.
            let _ = self.bash.try_wait();
            signal = match (signal, Instant::now() > deadline) {
                (_, true) => Signal::SIGKILL,
                // SIGCONT checks like signal 0, and also resumes stopped processes.
                (_, false) => Signal::SIGCONT,
            };
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The output of bash up to the marker that ends a step.
struct StepOutput {
    mark: String,
    bytes: Vec<u8>,
    place: Option<usize>,
    shown: usize,
}

impl StepOutput {
    fn new(mark: &str) -> Self {
        Self {
            // The line break belongs to the marker: a step may end without one.
            mark: format!("\n{mark} "),
            bytes: Vec::new(),
            place: None,
            shown: 0,
        }
    }

    fn hear(&mut self, bytes: &[u8], show: &mut impl FnMut(&str)) {
        let mark = self.mark.as_bytes();
        let from = self.bytes.len().saturating_sub(mark.len());
        self.bytes.extend_from_slice(bytes);
        let mut windows = self
            .bytes
            .get(from..)
            .unwrap_or_default()
            .windows(mark.len());
        let found = windows.position(|window| window == mark);
        self.place = self.place.or(found.map(|found| from + found));
        while let Some(line) = self.next_line() {
            show(&line);
        }
    }

    /// The next complete line.
    fn next_line(&mut self) -> Option<String> {
        let rest = self.bytes.get(self.shown..self.own()).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        self.shown += end + 1;
        Some(line)
    }

    /// The number of bytes that belong to the step for certain. A suffix that may become the marker does not count.
    fn own(&self) -> usize {
        let (mark, output) = (self.mark.as_bytes(), self.bytes.len());
        let begun = |length: &usize| {
            mark.get(..*length)
                .is_some_and(|begun| self.bytes.ends_with(begun))
        };
        let begins = (0..=mark.len().min(output)).rev().find(begun);
        self.place.unwrap_or(output - begins.unwrap_or(0))
    }

    /// The exit code after the marker, once its line is complete.
    fn code(&self) -> Option<i32> {
        let code = self.bytes.get(self.place? + self.mark.len()..)?;
        let code = std::str::from_utf8(code).ok()?.split_once('\n')?.0;
        code.parse().ok()
    }

    /// The complete output of a step that has ended. Shows the last line if it has no line break.
    fn all(&self, show: &mut impl FnMut(&str)) -> String {
        let own = self.place.unwrap_or(self.bytes.len());
        if let Some(rest) = self
            .bytes
            .get(self.shown..own)
            .filter(|rest| !rest.is_empty())
        {
            show(String::from_utf8_lossy(rest).trim_end_matches('\n'));
        }
        String::from_utf8_lossy(self.bytes.get(..own).unwrap_or_default()).into_owned()
    }
}
