//! Process records: what a later command needs to find a process again. One JSON file a name.

use crate::tree::{Identity, Signal};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What was started under a name, last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The name it was started under, unique in its home.
    pub name: String,
    /// The process itself.
    pub process: Identity,
    /// The shell that waits for it and writes down its exit code.
    pub keeper: Identity,
    /// Milliseconds since 1970 when it was started.
    pub started_at_ms: u64,
    /// How often something was started under this name since the record was last forgotten; at least 1.
    pub starts: u32,
    /// The signal that asks it to stop.
    pub stop_signal: StopSignal,
    /// Its log file.
    pub log: PathBuf,
    /// The caller's own notes (a port, a slot …), kept as given.
    pub labels: BTreeMap<String, String>,
}

/// The signal that asks a program to end in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopSignal {
    /// `SIGTERM`, for nearly everybody.
    Terminate,
    /// `SIGINT`: PostgreSQL's "fast" shutdown. Its `SIGTERM` waits until every client has gone.
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

/// Where the keeper writes the exit code.
pub(crate) fn exit_path(run: &Path, name: &str) -> PathBuf {
    run.join(format!("{name}.exit"))
}

pub(crate) fn read(path: &Path) -> Result<Option<Record>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    serde_json::from_str(&text)
        .with_context(|| {
            format!(
                "{} is not a process record: remove it once nothing of this stack runs",
                path.display()
            )
        })
        .map(Some)
}

/// Written beside and renamed, so that a reader sees the old record or the new one, never half of it.
pub(crate) fn write(path: &Path, record: &Record) -> Result<()> {
    let text = serde_json::to_string_pretty(record).context("cannot write a process record")?;
    let fresh = path.with_extension("json.new");
    fs::write(&fresh, text).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("cannot write {}", path.display()))
}
