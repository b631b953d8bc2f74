//! The log files of processes.

use super::Processes;
use anyhow::{Context, Result};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// A log larger than this is moved to `<name>.log.1` when its program starts again.
const LOG_LIMIT: u64 = 32 * 1024 * 1024;

impl Processes {
    /// The last line in the log of a process that is not empty.
    #[must_use]
    pub fn last_log_line(&self, name: &str) -> Option<String> {
        const TAIL_BYTES: u64 = 8 * 1024;
        let mut file = fs::File::open(self.state_dir.logs().join(format!("{name}.log"))).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
            .ok()?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
        String::from_utf8_lossy(&tail)
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .map(str::to_owned)
    }

    /// The log file of a program that starts, created if it is missing.
    pub(super) fn log_file(&self, name: &str) -> Result<PathBuf> {
        let log = self.state_dir.logs().join(format!("{name}.log"));
        if fs::metadata(&log).is_ok_and(|file| file.len() > LOG_LIMIT) {
            fs::rename(&log, log.with_extension("log.1"))
                .with_context(|| format!("cannot move {}", log.display()))?;
        }
        let opened = fs::OpenOptions::new().create(true).append(true).open(&log);
        opened.with_context(|| format!("cannot write {}", log.display()))?;
        Ok(log)
    }
}
