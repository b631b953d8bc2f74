//! Starts programs so that a later command finds them again by their records.
//!
//! A program runs in a session of its own, under a small shell (`supervisor.sh`) that writes its
//! exit code to a file. The program therefore outlives the command that started it, a terminal's
//! Ctrl-C does not reach it, and `status` can show how it ended.
//!
//! A record that cannot be read is made again from the process that runs, or else stands for a
//! process that has ended. So no damaged file keeps a command from its work.

mod log_entries;
mod log_file;
mod program;
mod records;
mod stop;
mod wait;

pub use crate::process_record::{ProcessRecord, StopSignal};
pub use crate::run_as_nobody::UnprivilegedUser;
pub(crate) use log_entries::first_failure;
pub use program::Program;
pub(crate) use program::resolve;
pub use stop::StopOutcome;

use crate::environment;
use crate::process_record::{self, Description};
use crate::process_tree::{ProcessIdentity, Signal, signal_tree};
use crate::state_dir::{StateDir, remove};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const SUPERVISOR: &str = include_str!("supervisor.sh");

/// The name of the supervisor's shell (`$0`), by which its command line is recognised.
pub(crate) const SUPERVISOR_NAME: &str = "supervisor";

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
    /// When a program of that name already runs, when the executable is missing, when the program
    /// ended at once (the message then holds the cause from its log), or when its record cannot be
    /// written: then the program is ended again.
    pub async fn start(&self, program: &Program) -> Result<ProcessRecord> {
        let name = &program.name;
        if !process_record::is_name(name) {
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
        let (log, log_start) = self.log_file(name)?;
        let description = Description {
            starts: previous.map_or(0, |record| record.starts).saturating_add(1),
            stop_signal: program.stop_signal,
            log_start,
            labels: program.labels.clone(),
        };

        let (supervisor, process) = self.spawn(program, &log, &description).await?;
        let (Some(supervisor), Some(process)) = (supervisor, process) else {
            bail!(
                "{name} ended at once: {}",
                self.cause_since(name, log_start)
            );
        };
        let record = ProcessRecord {
            name: name.clone(),
            process,
            supervisor,
            started_at_ms: now_ms(),
            starts: description.starts,
            stop_signal: description.stop_signal,
            log,
            log_start,
            labels: description.labels,
        };
        if let Err(error) = process_record::write(&run, &record) {
            // Without a record, no later command would stop it.
            signal_tree(&record.process, Signal::KILL)?;
            return Err(error.context(format!("{name} was started and ended again")));
        }
        Ok(record)
    }

    fn cause_since(&self, name: &str, log_start: u64) -> String {
        let cause = self.failure_since(name, log_start);
        cause.unwrap_or_else(|| "it wrote nothing to its log".to_owned())
    }

    /// The identities of the supervisor and of the program; `None` for one that has ended.
    async fn spawn(
        &self,
        program: &Program,
        log: &Path,
        description: &Description,
    ) -> Result<(Option<ProcessIdentity>, Option<ProcessIdentity>)> {
        let mut command = self.supervisor_command(program, log, description)?;
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
            let cause = self.cause_since(&program.name, description.log_start);
            format!("{} could not be started: {cause}", program.name)
        })?;
        Ok((
            supervisor.map(ProcessIdentity::of).transpose()?.flatten(),
            ProcessIdentity::of(pid)?,
        ))
    }

    fn supervisor_command(
        &self,
        program: &Program,
        log: &Path,
        description: &Description,
    ) -> Result<Command> {
        let description =
            serde_json::to_string(description).context("cannot serialize a process record")?;
        let mut command = Command::new("setsid");
        environment::replace(command.as_std_mut());
        command
            .args(["sh", "-c", SUPERVISOR, SUPERVISOR_NAME])
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
        command.arg(description);
        command.args(program.user.iter().flat_map(UnprivilegedUser::prefix));
        command
            .arg(resolve(&program.executable)?)
            .args(&program.arguments);
        let variables = program.environment.iter();
        command.envs(variables.map(|(name, value)| (name, value)));
        let folder = program.folder.as_deref();
        command.current_dir(folder.unwrap_or_else(|| self.state_dir.folder()));
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(command)
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
