//! Starts programs so that a later command finds them again by their records.
//!
//! A program runs in a session of its own, under a small shell (`supervisor.sh`) that writes its
//! exit code to a file. The program therefore outlives the command that started it, a terminal's
//! Ctrl-C does not reach it, and `status` can show how it ended.

mod log_file;
mod program;
mod stop;
mod wait;

pub use crate::process_record::{ProcessRecord, StopSignal};
pub use crate::run_as_nobody::UnprivilegedUser;
pub use program::Program;
pub(crate) use program::resolve;
pub use stop::StopOutcome;

use crate::process_record;
use crate::process_tree::{Activity, ProcessIdentity};
use crate::state_dir::{StateDir, remove};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const SUPERVISOR: &str = include_str!("supervisor.sh");

/// The state of a recorded process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// The process runs.
    Running,
    /// A signal stopped the process, as [`Processes::pause`] does.
    Paused,
    /// The process ended with this exit code (128 + n for signal n, as in shells). `None` when its
    /// supervisor was killed too.
    Ended(Option<i32>),
}

/// The processes of one state directory.
#[derive(Debug)]
pub struct Processes {
    state_dir: StateDir,
    /// One pipe a program that must end with the caller: the supervisor kills the program when it
    /// closes.
    pipes: Option<Mutex<HashMap<String, OwnedFd>>>,
}

impl Processes {
    /// The processes of `state_dir`. Started programs outlive the caller.
    #[must_use]
    pub fn detached(state_dir: &StateDir) -> Self {
        Self {
            state_dir: state_dir.clone(),
            pipes: None,
        }
    }

    /// The processes of a temporary state directory. When this value is dropped, or the calling
    /// process ends for any reason, every started program is killed and the directory is removed.
    #[must_use]
    pub fn kill_on_drop(state_dir: &StateDir) -> Self {
        Self {
            state_dir: state_dir.clone(),
            pipes: Some(Mutex::default()),
        }
    }

    /// The state directory of these processes.
    #[must_use]
    pub fn state_dir(&self) -> &StateDir {
        &self.state_dir
    }

    /// Starts a program. Returns as soon as the program has a process id, which may be before it is
    /// ready.
    ///
    /// # Errors
    /// When a program of that name already runs, when the executable is missing, or when the
    /// program ended at once; the message then holds its last log line.
    pub async fn start(&self, program: &Program) -> Result<ProcessRecord> {
        let name = &program.name;
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            bail!("\"{name}\" cannot name a process: letters, digits, '-', '_' and '.' can");
        }
        let previous = self.record(name)?;
        if previous
            .as_ref()
            .is_some_and(|record| record.process.is_alive())
        {
            bail!("{name} already runs");
        }
        let run = self.state_dir.run();
        remove(&process_record::exit_path(&run, name))?;
        let log = self.log_file(name)?;

        let (supervisor, process) = self.spawn(program, &log).await?;
        let (Some(supervisor), Some(process)) = (supervisor, process) else {
            bail!(
                "{name} ended at once: {}",
                self.last_log_line(name)
                    .unwrap_or_else(|| "its log is empty".to_owned())
            );
        };
        let record = ProcessRecord {
            name: name.clone(),
            process,
            supervisor,
            started_at_ms: now_ms(),
            starts: previous.map_or(0, |record| record.starts).saturating_add(1),
            stop_signal: program.stop_signal,
            log,
            labels: program.labels.clone(),
        };
        process_record::write(&process_record::path(&run, name), &record)?;
        Ok(record)
    }

    /// The identities of the supervisor and of the program; `None` for one that has ended.
    async fn spawn(
        &self,
        program: &Program,
        log: &Path,
    ) -> Result<(Option<ProcessIdentity>, Option<ProcessIdentity>)> {
        let mut command = self.supervisor_command(program, log)?;
        let mut child = command.spawn().context("cannot run setsid and sh")?;
        if let (Some(pipes), Some(pipe)) = (&self.pipes, child.stdin.take()) {
            let pipe = pipe
                .into_owned_fd()
                .context("cannot keep the pipe of a supervisor")?;
            pipes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(program.name.clone(), pipe);
        }
        let supervisor = child.id().and_then(|id| i32::try_from(id).ok());
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .await
                .context("cannot read a process id")?;
        }
        let pid = line.trim().parse().with_context(|| {
            format!(
                "{} could not be started: see {}",
                program.name,
                log.display()
            )
        })?;
        Ok((
            supervisor.map(ProcessIdentity::of).transpose()?.flatten(),
            ProcessIdentity::of(pid)?,
        ))
    }

    fn supervisor_command(&self, program: &Program, log: &Path) -> Result<Command> {
        let mut command = Command::new("setsid");
        command
            .args(["sh", "-c", SUPERVISOR, "supervisor"])
            .arg(log)
            .arg(process_record::exit_path(
                &self.state_dir.run(),
                &program.name,
            ));
        if self.pipes.is_some() {
            command.arg(self.state_dir.folder()).stdin(Stdio::piped());
        } else {
            command.arg("").stdin(Stdio::null());
        }
        command.args(program.user.iter().flat_map(UnprivilegedUser::prefix));
        command
            .arg(resolve(&program.executable)?)
            .args(&program.arguments);
        let variables = program.environment.iter();
        command.envs(variables.map(|(name, value)| (name, value)));
        if let Some(folder) = &program.folder {
            command.current_dir(folder);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(command)
    }

    /// The record of a process that runs or has ended; `None` when no program was started under
    /// that name.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn record(&self, name: &str) -> Result<Option<ProcessRecord>> {
        process_record::read(&process_record::path(&self.state_dir.run(), name))
    }

    /// All records, sorted by name.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn records(&self) -> Result<Vec<ProcessRecord>> {
        let folder = self.state_dir.run();
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut records = Vec::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                records.extend(process_record::read(&path)?);
            }
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    /// The current state of a recorded process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn state(&self, record: &ProcessRecord) -> Result<ProcessState> {
        Ok(match record.process.activity()? {
            Some(Activity::Running) => ProcessState::Running,
            Some(Activity::Paused) => ProcessState::Paused,
            None => ProcessState::Ended(self.exit_code(&record.name)),
        })
    }

    /// True when a process of that name runs or is paused.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn runs(&self, name: &str) -> Result<bool> {
        Ok(self
            .record(name)?
            .is_some_and(|record| record.process.is_alive()))
    }

    fn exit_code(&self, name: &str) -> Option<i32> {
        fs::read_to_string(process_record::exit_path(&self.state_dir.run(), name))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Removes the record, exit code and count of starts of a process that has ended. The log
    /// stays.
    ///
    /// # Errors
    /// When the process still runs, or a file cannot be removed.
    pub fn forget(&self, name: &str) -> Result<()> {
        if self.runs(name)? {
            bail!("{name} still runs");
        }
        remove(&process_record::exit_path(&self.state_dir.run(), name))?;
        remove(&process_record::path(&self.state_dir.run(), name))
    }
}

impl Drop for Processes {
    /// The supervisors remove the state directory of a `kill_on_drop` value. When none is left, it
    /// is removed here.
    fn drop(&mut self) {
        if self.pipes.is_some()
            && !self
                .records()
                .is_ok_and(|all| all.iter().any(|one| one.process.is_alive()))
        {
            let _best_effort = self
                .state_dir
                .remove_data()
                .and_then(|()| remove(self.state_dir.folder()));
        }
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
