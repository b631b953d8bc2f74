//! The identity of a process, its descendants, and signals that never reach another process with
//! the same id.
//!
//! The kernel reuses the id of a process that has ended. A process is therefore identified by its
//! id, its start time and the boot. A signal goes through a process file descriptor, which is
//! opened first, then compared with the identity, then signalled. The signal reaches the process
//! that the descriptor was opened for, even if that process has ended and its id was reused
//! meanwhile.

use anyhow::{Context, Result, bail};
use procfs::process::{Process, Stat, all_processes};
pub use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// One process, distinct from every earlier or later process with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: i32,
    /// The start time in clock ticks since boot.
    pub started: u64,
    /// The kernel's id of the boot (`boot_id`).
    pub boot: String,
}

/// The state of a process that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The process runs, or waits for input.
    Running,
    /// A signal such as `SIGSTOP` stopped the process.
    Paused,
}

impl ProcessIdentity {
    /// The process that has this id now. `None` when there is none, or when it is a zombie.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(pid: i32) -> Result<Option<Self>> {
        Ok(match running(pid) {
            Some(stat) => Some(Self {
                pid,
                started: stat.starttime,
                boot: boot()?,
            }),
            None => None,
        })
    }

    /// Whether the process runs or is paused; `None` when it has ended.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn activity(&self) -> Result<Option<Activity>> {
        if self.boot != boot()? {
            return Ok(None);
        }
        Ok(running(self.pid)
            .filter(|stat| stat.starttime == self.started)
            .map(|stat| match stat.state {
                'T' | 't' => Activity::Paused,
                _ => Activity::Running,
            }))
    }

    /// True while the process runs or is paused. False when `/proc` cannot be read.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self.activity(), Ok(Some(_)))
    }

    /// Sends a signal to exactly this process. `Ok(false)`: the process had ended, and no signal
    /// was sent.
    ///
    /// # Errors
    /// When the kernel refuses, for example because the process belongs to another user.
    pub fn signal(&self, signal: Signal) -> Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            bail!("{} is not a process id", self.pid)
        };
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot open process {}", self.pid));
            }
        };
        if !self.is_alive() {
            return Ok(false);
        }
        match pidfd_send_signal(descriptor, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot signal process {}", self.pid)),
        }
    }

    /// The memory and processor time of the process and all its descendants. Shared pages
    /// (PostgreSQL's buffers) count once for each process. `None` when the process has ended.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        if !self.is_alive() {
            return None;
        }
        let members = std::iter::once(self.clone()).chain(self.descendants().unwrap_or_default());
        let mut usage = Usage {
            resident_bytes: 0,
            processor_ticks: 0,
        };
        for stat in members.filter_map(|member| {
            running(member.pid).filter(|stat| stat.starttime == member.started)
        }) {
            usage.resident_bytes += stat.rss * procfs::page_size();
            usage.processor_ticks += stat.utime + stat.stime;
        }
        Some(usage)
    }

    /// All running or paused descendants, parents before children. They are found by parent ids,
    /// because each PostgreSQL backend has a process group of its own.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn descendants(&self) -> Result<Vec<Self>> {
        let all: Vec<Stat> = all_processes()
            .context("cannot read /proc")?
            .filter_map(|process| process.ok()?.stat().ok())
            .filter(|stat| !ended(stat))
            .collect();
        let mut found = vec![self.clone()];
        let mut next = 0;
        while let Some(parent) = found.get(next).map(|parent| parent.pid) {
            found.extend(
                all.iter()
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

/// The resources of a process tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// User and system time, in clock ticks (`procfs::ticks_per_second`).
    pub processor_ticks: u64,
}

/// Sends a signal to a process and all its descendants, the process first. Repeats until there is
/// no new descendant, so that a process forked meanwhile gets the signal too.
///
/// # Errors
/// When `/proc` cannot be read or the kernel refuses a signal.
pub fn signal_tree(root: &ProcessIdentity, signal: Signal) -> Result<()> {
    let mut signalled = HashSet::new();
    // Read before the root is signalled: when the root dies, its children get another parent.
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

fn running(pid: i32) -> Option<Stat> {
    Process::new(pid)
        .ok()?
        .stat()
        .ok()
        .filter(|stat| !ended(stat))
}

/// A zombie has ended, and keeps its id until its parent reads its exit code.
fn ended(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x')
}

fn boot() -> Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("cannot read the kernel's boot id")?;
    Ok(id.trim().to_owned())
}
