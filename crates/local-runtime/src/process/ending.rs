//! How processes are asked to end, made to end, and frozen.

use super::Processes;
use crate::record::Record;
use crate::tree::{Identity, Signal, signal_tree};
use crate::wait;
use anyhow::{Result, bail};
use std::sync::PoisonError;
use std::time::Duration;

/// What a killed process tree gets to disappear from the process table.
const REAPING: Duration = Duration::from_secs(5);

/// What its keeper gets to write the exit code down: a moment, unless the machine has no time for it.
const KEEPER: Duration = Duration::from_secs(30);

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

impl Processes {
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
        wait::until(KEEPER, || !record.keeper.lives()).await;
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
}
