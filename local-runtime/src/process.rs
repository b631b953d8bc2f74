//! Starts programs so that a later command finds them again, and stops, pauses and kills them by their records.
//!
//! A program runs in a session of its own, under a small shell (`keeper.sh`) that writes down its exit code. So it outlives
//! the command that started it, no terminal's Ctrl-C reaches it, and `status` can say how it ended.

pub use crate::record::{Record, StopSignal};

use crate::home::{Home, remove};
pub use crate::reach::Unprivileged;
use crate::tree::{Activity, Identity, Signal, signal_tree};
use crate::{record, wait};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const KEEPER: &str = include_str!("keeper.sh");
/// What a killed process tree gets to disappear from the process table.
const REAPING: Duration = Duration::from_secs(5);
/// A log that has grown beyond this is moved to `<name>.log.1` before its program starts again.
const LOG_LIMIT: u64 = 32 * 1024 * 1024;

/// A program to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in this home: of letters, digits, `-`, `_` and `.`. File names of record and log come from it.
    pub name: String,
    /// The executable: a path, or a name looked up in `PATH`.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables set on top of the caller's environment.
    pub environment: Vec<(String, OsString)>,
    /// Working folder; the caller's when `None`.
    pub folder: Option<PathBuf>,
    /// Runs as this user instead of the caller (only root can).
    pub user: Option<Unprivileged>,
    /// What asks it to stop.
    pub stop_signal: StopSignal,
    /// The caller's own notes, kept in the record.
    pub labels: BTreeMap<String, String>,
}

impl Program {
    /// A program without arguments, in the caller's folder, stopped by `SIGTERM`. Change the fields for anything else.
    #[must_use]
    pub fn new(name: impl Into<String>, executable: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            executable: executable.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            user: None,
            stop_signal: StopSignal::Terminate,
            labels: BTreeMap::new(),
        }
    }
}

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

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It did not run.
    NotRunning,
    /// It ended when asked to.
    InTime,
    /// It did not end in time and was killed.
    Killed,
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

    /// Asks a process to end and waits up to `grace`, then kills it with all its descendants. A paused one is continued first,
    /// since it could not hear the request. The record stays, so that its exit code can be shown.
    ///
    /// # Errors
    /// When the record cannot be read, a signal is refused, or the process outlives even `SIGKILL`.
    pub async fn stop(&self, name: &str, grace: Duration) -> Result<Stopped> {
        let Some(record) = self.record(name)?.filter(|record| record.process.lives()) else {
            return Ok(Stopped::NotRunning);
        };
        let mut family = record.process.descendants()?;
        record.process.signal(record.stop_signal.into())?;
        signal_tree(&record.process, Signal::CONT)?;
        let stopped = if wait::until(grace, || !record.process.lives()).await {
            Stopped::InTime
        } else {
            Stopped::Killed
        };
        if stopped == Stopped::Killed {
            family.extend(record.process.descendants()?);
            signal_tree(&record.process, Signal::KILL)?;
        }
        family.push(record.process.clone());
        self.gone(&record, family).await?;
        Ok(stopped)
    }

    /// `kill -9`: a process and all its descendants, at once. `Ok(false)`: it did not run.
    ///
    /// # Errors
    /// As [`Processes::stop`].
    pub async fn kill(&self, name: &str) -> Result<bool> {
        let Some(record) = self.record(name)?.filter(|record| record.process.lives()) else {
            return Ok(false);
        };
        let mut family = record.process.descendants()?;
        family.push(record.process.clone());
        signal_tree(&record.process, Signal::KILL)?;
        self.gone(&record, family).await?;
        Ok(true)
    }

    /// Waits until nobody of the family is left, the keeper included: then the exit code is on disk.
    async fn gone(&self, record: &Record, family: Vec<Identity>) -> Result<()> {
        if !wait::until(REAPING, || family.iter().all(|process| !process.lives())).await {
            // A descendant may outlive its parent's good end; it has no record of its own.
            for process in &family {
                process.signal(Signal::KILL)?;
            }
            if !wait::until(REAPING, || family.iter().all(|process| !process.lives())).await {
                bail!(
                    "{} (process {}) does not end, not even by SIGKILL",
                    record.name,
                    record.process.pid
                );
            }
        }
        wait::until(REAPING, || !record.keeper.lives()).await;
        if let Some(guards) = &self.guards {
            guards
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&record.name);
        }
        Ok(())
    }

    /// Stops a process and all its descendants in their tracks (`SIGSTOP`). `Ok(false)`: it did not run.
    ///
    /// # Errors
    /// When the record cannot be read or a signal is refused.
    pub fn pause(&self, name: &str) -> Result<bool> {
        self.signal(name, Signal::STOP)
    }

    /// Lets a paused process and all its descendants go on (`SIGCONT`). `Ok(false)`: it did not run.
    ///
    /// # Errors
    /// As [`Processes::pause`].
    pub fn resume(&self, name: &str) -> Result<bool> {
        self.signal(name, Signal::CONT)
    }

    fn signal(&self, name: &str, signal: Signal) -> Result<bool> {
        let Some(record) = self.record(name)?.filter(|record| record.process.lives()) else {
            return Ok(false);
        };
        signal_tree(&record.process, signal)?;
        Ok(true)
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

/// The executable's path, so that a missing one is the caller's error and not a line in a log.
pub(crate) fn resolve(executable: &Path) -> Result<PathBuf> {
    if executable.components().count() > 1 {
        if !executable.is_file() {
            bail!("{} is not there", executable.display());
        }
        return std::path::absolute(executable)
            .with_context(|| format!("cannot find {}", executable.display()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(executable))
        .find(|file| file.is_file());
    found.with_context(|| format!("{} is not installed", executable.display()))
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
