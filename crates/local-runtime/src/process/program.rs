//! A program to start, with its arguments and environment.

use crate::process_record::StopSignal;
use crate::run_as_nobody::UnprivilegedUser;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A program for [`Processes::start`](super::Processes::start).
#[derive(Clone, Debug)]
pub struct Program {
    /// The name in the state directory: letters, digits, `-`, `_` and `.`. The file names of record
    /// and log contain it.
    pub name: String,
    /// The executable: a path, or a name looked up in `PATH`.
    pub executable: PathBuf,
    /// The arguments, without the executable.
    pub arguments: Vec<OsString>,
    /// Its variables, besides those that every program of a stack has (see
    /// [`environment`](crate::environment)).
    pub environment: Vec<(String, OsString)>,
    /// The working directory; the state directory when `None`.
    pub folder: Option<PathBuf>,
    /// The user that runs the program; the caller when `None`. Only root can set another user.
    pub user: Option<UnprivilegedUser>,
    /// The signal that asks the program to stop.
    pub stop_signal: StopSignal,
    /// The caller's labels, kept in the process record.
    pub labels: BTreeMap<String, String>,
}

impl Program {
    /// A program without arguments, in the state directory, stopped by `SIGTERM`.
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

/// The executable's path. A missing executable is an error here, before the supervisor writes it to
/// a log.
pub(crate) fn resolve(executable: &Path) -> Result<PathBuf> {
    if executable.components().count() > 1 {
        if !executable.is_file() {
            bail!("{} does not exist", executable.display());
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
