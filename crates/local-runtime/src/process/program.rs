//! What is to be started, and with what.

use crate::reach::Unprivileged;
use crate::record::StopSignal;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

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
