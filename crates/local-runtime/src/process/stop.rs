//! Stopping, killing, pausing and resuming processes.

use super::{Processes, wait};
use crate::process_record::ProcessRecord;
use crate::process_tree::{ProcessIdentity, Signal, signal_tree};
use anyhow::{Result, bail};
use std::sync::PoisonError;
use std::time::Duration;

/// How long a killed process tree may take to leave the process table.
const REAP_TIME: Duration = Duration::from_secs(5);

/// How long the supervisor may take to write the exit code. Milliseconds, except on an overloaded
/// machine.
const SUPERVISOR_TIME: Duration = Duration::from_secs(30);

/// The result of [`Processes::stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// The process did not run.
    NotRunning,
    /// The process ended within the grace period.
    InTime,
    /// The process did not end within the grace period and was killed.
    Killed,
}

impl Processes {
    /// Sends the stop signal and waits up to `grace`, then kills the process with all its
    /// descendants. A paused process is resumed, because it could not handle the signal. The record
    /// stays with the exit code.
    ///
    /// # Errors
    /// When the record cannot be read, a signal is refused, or the process does not end after
    /// `SIGKILL`.
    pub async fn stop(&self, name: &str, grace: Duration) -> Result<StopOutcome> {
        let Some(record) = self
            .record(name)?
            .filter(|record| record.process.is_alive())
        else {
            return Ok(StopOutcome::NotRunning);
        };
        let mut family = record.process.descendants()?;
        record.process.signal(record.stop_signal.into())?;
        signal_tree(&record.process, Signal::CONT)?;
        let stopped = if wait::until(grace, || !record.process.is_alive()).await {
            StopOutcome::InTime
        } else {
            StopOutcome::Killed
        };
        if stopped == StopOutcome::Killed {
            family.extend(record.process.descendants()?);
            signal_tree(&record.process, Signal::KILL)?;
        }
        family.push(record.process.clone());
        self.until_ended(&record, family).await?;
        Ok(stopped)
    }

    /// `kill -9` of a process and all its descendants. `Ok(false)`: the process did not run.
    ///
    /// # Errors
    /// As [`Processes::stop`].
    pub async fn kill(&self, name: &str) -> Result<bool> {
        let Some(record) = self
            .record(name)?
            .filter(|record| record.process.is_alive())
        else {
            return Ok(false);
        };
        let mut family = record.process.descendants()?;
        family.push(record.process.clone());
        signal_tree(&record.process, Signal::KILL)?;
        self.until_ended(&record, family).await?;
        Ok(true)
    }

    /// Waits until the family and the supervisor have ended: then the exit code is on disk.
    async fn until_ended(
        &self,
        record: &ProcessRecord,
        family: Vec<ProcessIdentity>,
    ) -> Result<()> {
        if !wait::until(REAP_TIME, || {
            family.iter().all(|process| !process.is_alive())
        })
        .await
        {
            // A descendant can outlive a parent that ended normally.
            for process in &family {
                process.signal(Signal::KILL)?;
            }
            if !wait::until(REAP_TIME, || {
                family.iter().all(|process| !process.is_alive())
            })
            .await
            {
                bail!(
                    "{} (process {}) does not end, not even after SIGKILL",
                    record.name,
                    record.process.pid
                );
            }
        }
        wait::until(SUPERVISOR_TIME, || !record.supervisor.is_alive()).await;
        if let Some(pipes) = &self.pipes {
            pipes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&record.name);
        }
        Ok(())
    }

    /// Pauses a process and all its descendants (`SIGSTOP`). `Ok(false)`: the process did not run.
    ///
    /// # Errors
    /// When the record cannot be read or a signal is refused.
    pub fn pause(&self, name: &str) -> Result<bool> {
        self.signal(name, Signal::STOP)
    }

    /// Resumes a process and all its descendants (`SIGCONT`). `Ok(false)`: the process did not run.
    ///
    /// # Errors
    /// As [`Processes::pause`].
    pub fn resume(&self, name: &str) -> Result<bool> {
        self.signal(name, Signal::CONT)
    }

    fn signal(&self, name: &str, signal: Signal) -> Result<bool> {
        let Some(record) = self
            .record(name)?
            .filter(|record| record.process.is_alive())
        else {
            return Ok(false);
        };
        signal_tree(&record.process, signal)?;
        Ok(true)
    }
}
