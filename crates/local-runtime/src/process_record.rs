//! Process records: what a later command needs to find a process again. One JSON file a process.

use crate::process_tree::{ProcessIdentity, Signal};
use crate::state_dir::replace_file;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The process last started under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// The name, unique in the state directory.
    pub name: String,
    /// The program's process.
    pub process: ProcessIdentity,
    /// The shell that waits for the program and writes its exit code to a file.
    pub supervisor: ProcessIdentity,
    /// The time of the start, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// The number of starts since [`Processes::forget`](crate::process::Processes::forget); at
    /// least 1.
    pub starts: u32,
    /// The signal that asks the program to stop.
    pub stop_signal: StopSignal,
    /// The log file: standard output and standard error.
    pub log: PathBuf,
    /// The length of the log file before this start, in bytes.
    #[serde(default)]
    pub log_start: u64,
    /// The caller's labels (a port, a slot), as in [`Program::labels`](crate::process::Program).
    pub labels: BTreeMap<String, String>,
}

/// The signal that asks a program to shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopSignal {
    /// `SIGTERM`, for most programs.
    #[default]
    Terminate,
    /// `SIGINT`: PostgreSQL's "fast" shutdown. On `SIGTERM` it would wait until all clients have
    /// disconnected.
    Interrupt,
}

impl From<StopSignal> for Signal {
    fn from(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Terminate => Self::TERM,
            StopSignal::Interrupt => Self::INT,
        }
    }
}

/// The part of a record that the running processes do not show. It is an argument of the
/// supervisor, so that a process is found again without its record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) starts: u32,
    pub(crate) stop_signal: StopSignal,
    pub(crate) log_start: u64,
    pub(crate) labels: BTreeMap<String, String>,
}

/// What is in the place of a record.
#[derive(Debug)]
pub(crate) enum Stored {
    Missing,
    Readable(ProcessRecord),
    /// Why it cannot be read, after the path: `is no process record: …`.
    Unreadable(String),
}

impl ProcessRecord {
    /// The record of a process that has ended, of which only the name is known.
    pub(crate) fn of_ended(name: &str, log: PathBuf) -> Self {
        // No process was started in this boot, so this identity is never alive.
        let nobody = ProcessIdentity {
            pid: 0,
            started: 0,
            boot: String::new(),
        };
        Self {
            name: name.to_owned(),
            process: nobody.clone(),
            supervisor: nobody,
            started_at_ms: 0,
            starts: 1,
            stop_signal: StopSignal::default(),
            log,
            log_start: 0,
            labels: BTreeMap::new(),
        }
    }
}

/// True for a name that file names can contain: letters, digits, `-`, `_` and `.`.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.chars().all(plain)
}

pub(crate) fn path(run: &Path, name: &str) -> PathBuf {
    run.join(format!("{name}.json"))
}

/// The file to which the supervisor writes the exit code.
pub(crate) fn exit_path(run: &Path, name: &str) -> PathBuf {
    run.join(format!("{name}.exit"))
}

/// The names of all records in a folder, readable or not, sorted.
pub(crate) fn names(run: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(run).with_context(|| format!("cannot read {}", run.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|file| file.strip_suffix(".json").map(str::to_owned))
        .filter(|name| is_name(name))
        .collect();
    names.sort();
    Ok(names)
}

pub(crate) fn read(run: &Path, name: &str) -> Stored {
    let text = match fs::read(path(run, name)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Stored::Missing,
        Err(error) => return Stored::Unreadable(format!("cannot be read: {error}")),
    };
    match serde_json::from_slice::<ProcessRecord>(&text) {
        Ok(record) if record.name == name => Stored::Readable(record),
        Ok(record) => Stored::Unreadable(format!("is the record of {:?}", record.name)),
        Err(error) => Stored::Unreadable(format!("is no process record: {error}")),
    }
}

pub(crate) fn write(run: &Path, record: &ProcessRecord) -> Result<()> {
    let text = serde_json::to_string_pretty(record).context("cannot serialize a process record")?;
    replace_file(&path(run, &record.name), &text)
}
