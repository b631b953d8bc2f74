//! The one bash of a run: what a step sets, the next one knows.
//!
//! Steps are files that this bash reads in turn. It ends at the first command that fails (`-e`), at the first variable that is
//! not set (`-u`), and takes the failure of any part of a pipe for the failure of the pipe. Everything that is printed goes one
//! way, as on a terminal; after a step, bash prints a line that nobody can know beforehand, with the step's exit code.

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

use super::readme::{Must, Step};

/// How long what a step started may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(15);

/// How long the last words of a bash that ended are listened to. Only something it left running can keep them from ending.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Before the first step. The shop is on this machine, and `curl` must not ask a proxy for it. Programs differ in which of the two
/// names they look at first, so neither may lack what only the other has.
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
pub enum End {
    /// With this exit code.
    Code(i32),
    /// The step ended its bash, with this exit code.
    Shell(i32),
    /// Not in time.
    TooLate,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// All it printed.
    pub output: String,
}

impl Shell {
    /// Starts bash in this folder, with these variables besides those of this program.
    pub fn start(folder: &Path, variables: &BTreeMap<String, String>) -> Result<Self> {
        let mut bash = Command::new("bash")
            .args(["-eu", "-o", "pipefail"])
            .current_dir(folder)
            .envs(variables)
            // Its own group: Ctrl-C reaches this program alone, which then ends the step and restores.
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
            scripts: tempfile::tempdir().context("cannot make a folder for the steps")?,
            bash,
            count: 0,
        })
    }

    /// Runs one step to its end, and calls `show` with each line it prints. After any end but [`End::Code`], the bash is gone.
    pub async fn run(&mut self, step: &Step, mut show: impl FnMut(&str)) -> Result<Ran> {
        let deadline = Instant::now() + step.limit;
        self.begin(step).await?;
        let mut heard = Heard::new(&self.mark);
        loop {
            let mut chunk = [0; 4096];
            tokio::select! {
                biased;
                read = timeout_at(deadline, self.output.read(&mut chunk)) => match read {
                    Err(_) => {
                        self.end().await?;
                        return Ok(Ran { end: End::TooLate, output: heard.all(&mut show) });
                    }
                    Ok(read) => {
                        let read = read.context("cannot read what a step prints")?;
                        heard.hear(chunk.get(..read).unwrap_or_default(), &mut show);
                        if let Some(code) = heard.code() {
                            return Ok(Ran { end: End::Code(code), output: heard.all(&mut show) });
                        }
                        if read == 0 {
                            let code = self.code().await?;
                            return Ok(Ran { end: End::Shell(code), output: heard.all(&mut show) });
                        }
                    }
                },
                code = self.bash.wait() => {
                    let code = code.context("cannot wait for bash")?.code().unwrap_or(-1);
                    // What it left running would keep the output open.
                    self.end().await?;
                    let _ = timeout(LAST_WORDS, self.last_words(&mut heard, &mut show)).await;
                    return Ok(Ran { end: End::Shell(code), output: heard.all(&mut show) });
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
            Must::Succeed => format!(". '{script}' </dev/null; __code=0"),
            // Not in a condition: there bash would forget -e.
            Must::Fail => format!("set +e; (set -e; . '{script}' </dev/null); __code=$?; set -e"),
        };
        let first = if self.count == 1 { WITHOUT_PROXY } else { "" };
        let line = format!(
            "exec 2>&1; {first}cd \"${{__root:=$PWD}}\"; {read}; printf '\\n%s %s\\n' {mark} \"$__code\"\n"
        );
        let written = self.commands.write_all(line.as_bytes()).await;
        written.context("bash takes no more commands")
    }

    async fn last_words(&mut self, heard: &mut Heard, show: &mut impl FnMut(&str)) {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = self.output.read(&mut chunk).await {
            heard.hear(chunk.get(..read).unwrap_or_default(), show);
        }
    }

    async fn code(&mut self) -> Result<i32> {
        self.end().await?;
        let status = self.bash.wait().await.context("cannot wait for bash")?;
        Ok(status.code().unwrap_or(-1))
    }

    /// Ends bash and everything it started that did not become a process of its own: SIGTERM, so that a `./sandbox` in the
    /// middle of something can leave it in order, then SIGKILL.
    pub async fn end(&mut self) -> Result<()> {
        let deadline = Instant::now() + GRACE;
        let mut signal = Signal::SIGTERM;
        loop {
            match killpg(self.group, signal) {
                // Nobody is left in the group.
                Err(Errno::ESRCH) => return Ok(()),
                Err(error) => return Err(error).context("cannot end a step"),
                Ok(()) => {}
            }
            // Else bash would stay in its group as a zombie.
            let _ = self.bash.try_wait();
            signal = match (signal, Instant::now() > deadline) {
                (_, true) => Signal::SIGKILL,
                // Signal 0 would only ask; SIGCONT asks too, and wakes what somebody paused.
                (_, false) => Signal::SIGCONT,
            };
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What bash prints, up to the mark that ends a step.
struct Heard {
    mark: String,
    bytes: Vec<u8>,
    place: Option<usize>,
    shown: usize,
}

impl Heard {
    fn new(mark: &str) -> Self {
        Self {
            // The line break before the mark is ours: a step need not end its last line.
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

    /// The next line that is whole.
    fn next_line(&mut self) -> Option<String> {
        let rest = self.bytes.get(self.shown..self.own()).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        self.shown += end + 1;
        Some(line)
    }

    /// Bytes that are surely the step's: what may become the mark is not.
    fn own(&self) -> usize {
        let (mark, heard) = (self.mark.as_bytes(), self.bytes.len());
        let begun = |length: &usize| {
            mark.get(..*length)
                .is_some_and(|begun| self.bytes.ends_with(begun))
        };
        let begins = (0..=mark.len().min(heard)).rev().find(begun);
        self.place.unwrap_or(heard - begins.unwrap_or(0))
    }

    /// The exit code behind the mark, once it is there as a whole line.
    fn code(&self) -> Option<i32> {
        let code = self.bytes.get(self.place? + self.mark.len()..)?;
        let code = std::str::from_utf8(code).ok()?.split_once('\n')?.0;
        code.parse().ok()
    }

    /// All that the step printed, once it has ended; what was not shown yet, for want of a line's end, is shown.
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
