//! Process records: what a later command needs to find a process again. One JSON file a process.

use crate::process_tree::{ProcessIdentity, Signal};
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
    /// The caller's labels (a port, a slot), as in [`Program::labels`](crate::process::Program).
    pub labels: BTreeMap<String, String>,
}

/// The signal that asks a program to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopSignal {
    /// `SIGTERM`, for most programs.
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

pub(crate) fn path(run: &Path, name: &str) -> PathBuf {
    run.join(format!("{name}.json"))
}

/// The file to which the supervisor writes the exit code.
pub(crate) fn exit_path(run: &Path, name: &str) -> PathBuf {
    run.join(format!("{name}.exit"))
}

pub(crate) fn read(path: &Path) -> Result<Option<ProcessRecord>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    serde_json::from_str(&text)
        .with_context(|| {
            format!(
                "{} is not a process record: remove it when no process of this stack runs",
                path.display()
            )
        })
        .map(Some)
}

/// Writes under another name and renames, so that a reader sees either the old record or the new
/// one.
pub(crate) fn write(path: &Path, record: &ProcessRecord) -> Result<()> {
    let text = serde_json::to_string_pretty(record).context("cannot write a process record")?;
    let fresh = path.with_extension("json.new");
    fs::write(&fresh, text).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("cannot write {}", path.display()))
}
