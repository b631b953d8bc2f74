//! The records of processes, and their states.

use super::{ProcessState, Processes};
use crate::process_record::{self, ProcessRecord, Stored};
use crate::process_tree::Activity;
use crate::state_dir::remove;
use crate::supervised;
use anyhow::{Result, bail};
use std::fs;

impl Processes {
    /// The record of a process that runs or has ended; `None` when no program was started under
    /// that name. A record that cannot be read is made again from the running process. When there
    /// is none, it is the record of a process that has ended.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn record(&self, name: &str) -> Result<Option<ProcessRecord>> {
        let run = self.state_dir.run();
        match process_record::read(&run, name) {
            Stored::Missing => Ok(None),
            Stored::Readable(record) => Ok(Some(record)),
            Stored::Unreadable(_) => {
                let running = supervised::running_in(&run)?;
                let found = running.into_iter().find(|record| record.name == name);
                Ok(Some(found.unwrap_or_else(|| self.ended_record(name))))
            }
        }
    }

    /// All records, sorted by name.
    ///
    /// # Errors
    /// When the folder of the records or `/proc` cannot be read.
    pub fn records(&self) -> Result<Vec<ProcessRecord>> {
        let names = process_record::names(&self.state_dir.run())?;
        let mut records = Vec::new();
        for name in names {
            records.extend(self.record(&name)?);
        }
        Ok(records)
    }

    /// One line for each record that cannot be read: its path, and why.
    ///
    /// # Errors
    /// When the folder of the records cannot be read.
    pub fn unreadable_records(&self) -> Result<Vec<String>> {
        let run = self.state_dir.run();
        let mut lines = Vec::new();
        for name in process_record::names(&run)? {
            if let Stored::Unreadable(reason) = process_record::read(&run, &name) {
                let path = process_record::path(&run, &name);
                lines.push(format!("{} {reason}", path.display()));
            }
        }
        Ok(lines)
    }

    /// Makes the records agree with the processes that really run: writes a record in place of one
    /// that cannot be read, and for every running process that has none. Call it while no other
    /// command starts processes. Returns one line for each such record. A full disk is no error: what
    /// runs is found without its record, too.
    ///
    /// # Errors
    /// When `/proc` or the folder of the records cannot be read.
    pub fn repair_records(&self) -> Result<Vec<String>> {
        let run = self.state_dir.run();
        let mut lines = Vec::new();
        let mut repair = |record: &ProcessRecord, reason: &str| {
            let path = process_record::path(&run, &record.name);
            let state = match record.process.is_alive() {
                true => format!("{} runs as process {}", record.name, record.process.pid),
                false => format!("{} does not run", record.name),
            };
            let outcome = match process_record::write(&run, record) {
                Ok(()) => "written again".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            lines.push(format!("{} {reason}; {outcome}: {state}", path.display()));
        };
        let running = supervised::running_in(&run)?;
        for record in &running {
            match process_record::read(&run, &record.name) {
                Stored::Readable(stored) if stored.process.is_alive() => {}
                Stored::Readable(_) => repair(record, "is the record of an ended process"),
                Stored::Missing => repair(record, "does not exist"),
                Stored::Unreadable(reason) => repair(record, &reason),
            }
        }
        for name in process_record::names(&run)? {
            if running.iter().any(|record| record.name == name) {
                continue;
            }
            if let Stored::Unreadable(reason) = process_record::read(&run, &name) {
                repair(&self.ended_record(&name), &reason);
            }
        }
        Ok(lines)
    }

    fn ended_record(&self, name: &str) -> ProcessRecord {
        ProcessRecord::of_ended(name, self.state_dir.logs().join(format!("{name}.log")))
    }

    /// The current state of a recorded process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn state(&self, record: &ProcessRecord) -> Result<ProcessState> {
        Ok(match record.process.activity()? {
            Some(Activity::Running) => ProcessState::Running,
            Some(Activity::Paused) => ProcessState::Paused,
            None => ProcessState::Ended(self.exit_code(&record.name)),
        })
    }

    /// True when a process of that name runs or is paused.
    ///
    /// # Errors
    /// As [`Processes::record`].
    pub fn runs(&self, name: &str) -> Result<bool> {
        Ok(self
            .record(name)?
            .is_some_and(|record| record.process.is_alive()))
    }

    fn exit_code(&self, name: &str) -> Option<i32> {
        fs::read_to_string(process_record::exit_path(&self.state_dir.run(), name))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Removes the record, exit code and count of starts of a process that has ended. The log
    /// stays.
    ///
    /// # Errors
    /// When the process still runs, or a file cannot be removed.
    pub fn forget(&self, name: &str) -> Result<()> {
        if self.runs(name)? {
            bail!("{name} still runs");
        }
        remove(&process_record::exit_path(&self.state_dir.run(), name))?;
        remove(&process_record::path(&self.state_dir.run(), name))
    }
}
