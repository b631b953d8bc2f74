//! Who a process is, what it started, and signals that cannot hit a stranger.
//!
//! A process id alone says nothing: the kernel gives it to somebody else once its owner has ended. So a process is its id
//! *and* the moment the kernel started it, in a given boot, and a signal goes through a process file descriptor: opened
//! first, compared second, signalled last. Whoever the descriptor was opened for is the one who gets the signal.

use anyhow::{Context, Result, bail};
use procfs::process::{Process, Stat, all_processes};
pub use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// One process, told apart from every other that has or will have the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When the kernel started it, in clock ticks since boot.
    pub started: u64,
    /// The kernel's id of that boot.
    pub boot: String,
}

/// What a living process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It runs, or would if it had something to do.
    Running,
    /// It was stopped by a signal, as `pause` does.
    Paused,
}

impl Identity {
    /// The process that has this id now, or `None` when none has, or when it ended and only waits to be reaped.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(pid: i32) -> Result<Option<Self>> {
        Ok(match living(pid) {
            Some(stat) => Some(Self {
                pid,
                started: stat.starttime,
                boot: boot()?,
            }),
            None => None,
        })
    }

    /// What it does, or `None` when it has ended.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn activity(&self) -> Result<Option<Activity>> {
        if self.boot != boot()? {
            return Ok(None);
        }
        Ok(living(self.pid)
            .filter(|stat| stat.starttime == self.started)
            .map(|stat| match stat.state {
                'T' | 't' => Activity::Paused,
                _ => Activity::Running,
            }))
    }

    /// True while the process lives, paused or not. What cannot be read does not live.
    #[must_use]
    pub fn lives(&self) -> bool {
        matches!(self.activity(), Ok(Some(_)))
    }

    /// Sends a signal to exactly this process. `Ok(false)`: it had ended, and nobody was signalled.
    ///
    /// # Errors
    /// When the kernel refuses, as it does for another user's process.
    pub fn signal(&self, signal: Signal) -> Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            bail!("{} is no process id", self.pid)
        };
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot reach process {}", self.pid));
            }
        };
        if !self.lives() {
            return Ok(false);
        }
        match pidfd_send_signal(descriptor, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot signal process {}", self.pid)),
        }
    }

    /// Resident memory in bytes and processor time in clock ticks of the process and all its descendants. Pages that several
    /// of them share (PostgreSQL's buffers) count once for each. `None` when the process has ended.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        if !self.lives() {
            return None;
        }
        let members = std::iter::once(self.clone()).chain(self.descendants().unwrap_or_default());
        let mut usage = Usage {
            resident_bytes: 0,
            processor_ticks: 0,
        };
        for stat in members
            .filter_map(|member| living(member.pid).filter(|stat| stat.starttime == member.started))
        {
            usage.resident_bytes += stat.rss * procfs::page_size();
            usage.processor_ticks += stat.utime + stat.stime;
        }
        Some(usage)
    }

    /// Every living process that descends from this one, parents before children. Found by parent ids, not by process group:
    /// each PostgreSQL backend is a group of its own.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn descendants(&self) -> Result<Vec<Self>> {
        let everyone: Vec<Stat> = all_processes()
            .context("cannot read /proc")?
            .filter_map(|process| process.ok()?.stat().ok())
            .filter(|stat| !ended(stat))
            .collect();
        let mut found = vec![self.clone()];
        let mut next = 0;
        while let Some(parent) = found.get(next).map(|parent| parent.pid) {
            found.extend(
                everyone
                    .iter()
                    .filter(|stat| stat.ppid == parent)
                    .map(|stat| Self {
                        pid: stat.pid,
                        started: stat.starttime,
                        boot: self.boot.clone(),
                    }),
            );
            next += 1;
        }
        found.remove(0);
        Ok(found)
    }
}

/// What a process tree takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory.
    pub resident_bytes: u64,
    /// User and system time, in clock ticks (`procfs::ticks_per_second`).
    pub processor_ticks: u64,
}

/// Sends a signal to a process and all its descendants, the process first. Repeats until no new descendant is found, so that
/// one that was just being forked is not missed; a stopped or killed parent forks no more.
///
/// # Errors
/// When `/proc` cannot be read or the kernel refuses a signal.
pub fn signal_tree(root: &Identity, signal: Signal) -> Result<()> {
    let mut signalled = HashSet::new();
    // Read before the root is signalled: its children get another parent when it dies.
    let mut pending = root.descendants()?;
    pending.insert(0, root.clone());
    while !pending.is_empty() {
        let mut children = Vec::new();
        for process in pending {
            if signalled.insert(process.clone()) {
                children.extend(process.descendants()?);
                process.signal(signal)?;
                children.extend(process.descendants()?);
            }
        }
        children.retain(|child| !signalled.contains(child));
        pending = children;
    }
    Ok(())
}

fn living(pid: i32) -> Option<Stat> {
    Process::new(pid)
        .ok()?
        .stat()
        .ok()
        .filter(|stat| !ended(stat))
}

/// A zombie keeps its id until its parent asks for its exit code, but runs no more.
fn ended(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x')
}

fn boot() -> Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("cannot read the kernel's boot id")?;
    Ok(id.trim().to_owned())
}
