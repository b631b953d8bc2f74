//! Starts programs so that a later command finds them again, and stops, pauses and kills them by their records.
//!
//! A program runs in a session of its own, under a small shell (`keeper.sh`) that writes down its exit code. So it outlives
//! the command that started it, no terminal's Ctrl-C reaches it, and `status` can say how it ended.

mod ending;
mod program;

pub use crate::record::{Record, StopSignal};
pub use ending::Stopped;
pub use program::Program;
pub(crate) use program::resolve;

use crate::home::{Home, remove};
pub use crate::reach::Unprivileged;
use crate::record;
use crate::tree::{Activity, Identity};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const KEEPER: &str = include_str!("keeper.sh");
/// A log that has grown beyond this is moved to `<name>.log.1` before its program starts again.
const LOG_LIMIT: u64 = 32 * 1024 * 1024;

/// What became of a recorded process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It was paused and waits for `continue`.
    Paused,
    /// It ended, with this exit code (128 + n for signal n, as shells count); `None` when nobody was left to see it.
    Ended(Option<i32>),
}

/// The processes of one home.
#[derive(Debug)]
pub struct Processes {
    home: Home,
    /// `Some`: programs die with this value, and with the process that holds it.
    guards: Option<Mutex<HashMap<String, OwnedFd>>>,
}

impl Processes {
    /// The processes of `home`. What is started outlives the caller.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        Self {
            home: home.clone(),
            guards: None,
        }
    }

    /// The processes of a home that exists for the caller's sake only: when this value is dropped, or the calling process
    /// ends in whatever way, every program started through it is killed and the home's folder removed.
    #[must_use]
    pub fn guarded(home: &Home) -> Self {
        Self {
            home: home.clone(),
            guards: Some(Mutex::default()),
        }
    }

    /// The home whose processes these are.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Starts a program. Returns as soon as it has a process id; whether it is *ready* is for the caller to find out.
    ///
    /// # Errors
    /// When one of that name already runs, when the executable is missing, or when it ended at once (the message then holds
    /// its last log line).
    pub async fn start(&self, program: &Program) -> Result<Record> {
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
            .is_some_and(|record| record.process.lives())
        {
            bail!("{name} already runs");
        }
        let run = self.home.run();
        remove(&record::exit_path(&run, name))?;
        let log = self.log_file(name)?;

        let (keeper, process) = self.spawn(program, &log).await?;
        let (Some(keeper), Some(process)) = (keeper, process) else {
            bail!(
                "{name} ended at once: {}",
                self.last_log_line(name)
                    .unwrap_or_else(|| "its log is empty".to_owned())
            );
        };
        let record = Record {
            name: name.clone(),
            process,
            keeper,
            started_at_ms: now_ms(),
            starts: previous.map_or(0, |record| record.starts).saturating_add(1),
            stop_signal: program.stop_signal,
            log,
            labels: program.labels.clone(),
        };
        record::write(&record::path(&run, name), &record)?;
        Ok(record)
    }

    async fn spawn(
        &self,
        program: &Program,
        log: &Path,
    ) -> Result<(Option<Identity>, Option<Identity>)> {
        let mut command = Command::new("setsid");
        command
            .args(["sh", "-c", KEEPER, "keeper"])
            .arg(log)
            .arg(record::exit_path(&self.home.run(), &program.name));
        command.arg(if self.guards.is_some() {
            self.home.folder().as_os_str()
        } else {
            "".as_ref()
        });
        command.args(program.user.iter().flat_map(Unprivileged::prefix));
        command
            .arg(resolve(&program.executable)?)
            .args(&program.arguments);
        command.envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        );
        if let Some(folder) = &program.folder {
            command.current_dir(folder);
        }
        command.stdin(if self.guards.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot run setsid and sh")?;

        if let (Some(guards), Some(pipe)) = (&self.guards, child.stdin.take()) {
            let pipe = pipe.into_owned_fd().context("cannot keep a guard's pipe")?;
            guards
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(program.name.clone(), pipe);
        }
        let keeper = child.id().and_then(|id| i32::try_from(id).ok());
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
            keeper.map(Identity::of).transpose()?.flatten(),
            Identity::of(pid)?,
        ))
    }

    /// The record of a name, whether its process lives or not.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn record(&self, name: &str) -> Result<Option<Record>> {
        record::read(&record::path(&self.home.run(), name))
    }

    /// All records, in the order of their names.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn records(&self) -> Result<Vec<Record>> {
        let folder = self.home.run();
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut records = Vec::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                records.extend(record::read(&path)?);
            }
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    /// What became of a recorded process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn state(&self, record: &Record) -> Result<State> {
        Ok(match record.process.activity()? {
            Some(Activity::Running) => State::Running,
            Some(Activity::Paused) => State::Paused,
            None => State::Ended(self.exit_code(&record.name)),
        })
    }

    /// True when a process of that name lives, paused or not.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn runs(&self, name: &str) -> Result<bool> {
        Ok(self
            .record(name)?
            .is_some_and(|record| record.process.lives()))
    }

    fn exit_code(&self, name: &str) -> Option<i32> {
        fs::read_to_string(record::exit_path(&self.home.run(), name))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Forgets a name whose process has ended: record, exit code and the count of starts. The log stays.
    ///
    /// # Errors
    /// When the process still runs, or a file cannot be removed.
    pub fn forget(&self, name: &str) -> Result<()> {
        if self.runs(name)? {
            bail!("{name} still runs");
        }
        remove(&record::exit_path(&self.home.run(), name))?;
        remove(&record::path(&self.home.run(), name))
    }

    /// The last line that is not empty in the log of a name.
    #[must_use]
    pub fn last_log_line(&self, name: &str) -> Option<String> {
        const ENOUGH: u64 = 8 * 1024;
        let mut file = fs::File::open(self.home.logs().join(format!("{name}.log"))).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH)))
            .ok()?;
        let mut end = Vec::new();
        file.take(ENOUGH).read_to_end(&mut end).ok()?;
        String::from_utf8_lossy(&end)
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .map(str::to_owned)
    }

    fn log_file(&self, name: &str) -> Result<PathBuf> {
        let log = self.home.logs().join(format!("{name}.log"));
        if fs::metadata(&log).is_ok_and(|file| file.len() > LOG_LIMIT) {
            fs::rename(&log, log.with_extension("log.1"))
                .with_context(|| format!("cannot move {}", log.display()))?;
        }
        let opened = fs::OpenOptions::new().create(true).append(true).open(&log);
        opened.with_context(|| format!("cannot write {}", log.display()))?;
        Ok(log)
    }
}

impl Drop for Processes {
    /// The keepers remove a guarded home, unless the last of them ended before.
    fn drop(&mut self) {
        if self.guards.is_some()
            && !self
                .records()
                .is_ok_and(|all| all.iter().any(|one| one.process.lives()))
        {
            let _best_effort = self
                .home
                .remove_data()
                .and_then(|()| remove(self.home.folder()));
        }
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
