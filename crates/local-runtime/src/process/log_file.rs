//! The log files of processes.

use super::{Processes, log_entries};
use anyhow::{Context, Result};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// A log larger than this is moved to `<name>.log.1` when its program starts again.
const LOG_LIMIT: u64 = 32 * 1024 * 1024;

/// How much of a log is read to find an entry in it. A stack trace of Kafka has about 8 KB.
const PART: u64 = 256 * 1024;

impl Processes {
    /// The last entry that a process has written to its log since its last start, as one line: a
    /// stack trace is represented by its cause.
    #[must_use]
    pub fn last_log_line(&self, name: &str) -> Option<String> {
        let start = self.log_start(name);
        let length = fs::metadata(self.log_path(name)).ok()?.len();
        let text = self.log_part(name, start.max(length.saturating_sub(PART)))?;
        log_entries::last_entry(&text)
    }

    /// Why the last start of a process failed: the first failure in its log since then, as one line.
    #[must_use]
    pub fn start_failure(&self, name: &str) -> Option<String> {
        self.failure_since(name, self.log_start(name))
    }

    /// As [`Processes::start_failure`], for a process that has no record yet.
    pub(super) fn failure_since(&self, name: &str, offset: u64) -> Option<String> {
        log_entries::first_failure(&self.log_part(name, offset)?)
    }

    /// Where the log of the last start begins. 0 for a log that was replaced since.
    fn log_start(&self, name: &str) -> u64 {
        let record = self.record(name).ok().flatten();
        let start = record.map_or(0, |record| record.log_start);
        let length = fs::metadata(self.log_path(name)).map_or(0, |file| file.len());
        if start > length { 0 } else { start }
    }

    fn log_part(&self, name: &str, offset: u64) -> Option<String> {
        let mut file = fs::File::open(self.log_path(name)).ok()?;
        file.seek(SeekFrom::Start(offset)).ok()?;
        let mut part = Vec::new();
        file.take(PART).read_to_end(&mut part).ok()?;
        Some(String::from_utf8_lossy(&part).into_owned())
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.state_dir.logs().join(format!("{name}.log"))
    }

    /// The log file of a program that starts, created if it is missing, and its length.
    pub(super) fn log_file(&self, name: &str) -> Result<(PathBuf, u64)> {
        let log = self.log_path(name);
        if fs::metadata(&log).is_ok_and(|file| file.len() > LOG_LIMIT) {
            fs::rename(&log, log.with_extension("log.1"))
                .with_context(|| format!("cannot move {}", log.display()))?;
        }
        let unwritable = || format!("cannot write {}", log.display());
        let opened = fs::OpenOptions::new().create(true).append(true).open(&log);
        let length = opened.and_then(|file| file.metadata());
        Ok((log.clone(), length.with_context(unwritable)?.len()))
    }
}
