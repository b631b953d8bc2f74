//! The file that names the faults that were caused and not repaired yet.
//!
//! A fault is written to the file before it is caused, and removed after it was undone. So a killed
//! command leaves a fault in the file that may be caused in part, and never a fault that is missing
//! in the file. `down` keeps the faults that are in the data of the broker; `reset` and
//! `down --reset` remove the file.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use local_runtime::state_dir::{remove, replace_file};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{Fault, find};

/// The version of the file's form. A file of another version is refused, and stays as it is.
const VERSION: u32 = 1;

/// How long a command waits for another command that causes or repairs a fault.
const LOCK_LIMIT: Duration = Duration::from_secs(120);

/// The pause between two tries to get the lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// A fault that was caused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokenFault {
    /// The name in the catalogue.
    pub name: String,
    /// When the fault was caused: RFC 3339, UTC.
    pub since: String,
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokenFaults {
    version: u32,
    /// The faults, in the order in which they were caused.
    pub faults: Vec<BrokenFault>,
}

/// The right to change the file, until it is dropped.
#[derive(Debug)]
pub struct BrokenFaultsLock {
    _file: File,
}

impl Default for BrokenFaults {
    fn default() -> Self {
        Self {
            version: VERSION,
            faults: Vec::new(),
        }
    }
}

impl BrokenFaults {
    /// Reads the file in the folder of a stack; empty if there is none.
    ///
    /// # Errors
    /// The file is damaged, or was written by another version. Then nobody knows what is broken, and
    /// `./sandbox reset` is the way back.
    pub fn load(home: &Path) -> Result<Self> {
        let file = file(home);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let why = match serde_json::from_slice::<Self>(&text) {
            Ok(found) if found.version == VERSION => return Ok(found),
            Ok(found) => format!("has version {}, not {VERSION}", found.version),
            Err(_) => "is damaged".to_owned(),
        };
        bail!(
            "{} {why}: ./sandbox reset undoes every fault and removes the file",
            file.display()
        )
    }

    /// Whether the fault was caused and not repaired.
    pub fn contains(&self, name: &str) -> bool {
        self.faults.iter().any(|fault| fault.name == name)
    }

    /// Adds a fault that is about to be caused, and writes the file.
    pub fn add(&mut self, home: &Path, fault: BrokenFault) -> Result<()> {
        self.faults.push(fault);
        self.save(home)
    }

    /// Removes a fault that was undone, and writes the file; the last one removes the file.
    pub fn remove(&mut self, home: &Path, name: &str) -> Result<()> {
        self.faults.retain(|fault| fault.name != name);
        self.save_or_forget(home)
    }

    /// After `down`: what stopped processes and forgotten settings were is no fault any more.
    pub fn after_down(&mut self, home: &Path) -> Result<()> {
        self.faults
            .retain(|one| find(&one.name).is_none_or(Fault::outlives_down));
        self.save_or_forget(home)
    }

    fn save_or_forget(&self, home: &Path) -> Result<()> {
        match self.faults.is_empty() {
            // Not the lock: another command may wait for it.
            true => remove(&file(home)),
            false => self.save(home),
        }
    }

    fn save(&self, home: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot serialize the faults")?;
        fs::create_dir_all(home).with_context(|| format!("cannot create {}", home.display()))?;
        replace_file(&file(home), &text)
    }
}

/// Removes the file, after everything was emptied.
pub fn forget(home: &Path) -> Result<()> {
    remove(&file(home))?;
    remove(&lock_file(home))
}

/// Waits for other commands that cause or repair faults, and keeps them waiting until the lock is
/// dropped.
pub async fn lock(home: &Path) -> Result<BrokenFaultsLock> {
    lock_within(home, LOCK_LIMIT).await
}

async fn lock_within(home: &Path, limit: Duration) -> Result<BrokenFaultsLock> {
    fs::create_dir_all(home).with_context(|| format!("cannot create {}", home.display()))?;
    let path = lock_file(home);
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let deadline = Instant::now() + limit;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(BrokenFaultsLock { _file: file }),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(LOCK_INTERVAL).await;
            }
            Err(TryLockError::WouldBlock) => bail!(
                "another command has been causing or repairing faults for {} s: wait for it or end it, then try again",
                limit.as_secs()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

fn file(home: &Path) -> PathBuf {
    home.join("broken-faults.json")
}

fn lock_file(home: &Path) -> PathBuf {
    home.join("broken-faults.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str) -> BrokenFault {
        BrokenFault {
            name: name.to_owned(),
            since: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn a_fault_is_in_the_file_from_before_it_is_caused_until_it_is_undone() {
        let home = tempfile::tempdir().unwrap();
        let mut broken = BrokenFaults::load(home.path()).unwrap();
        assert_eq!(broken, BrokenFaults::default());
        broken.add(home.path(), fault("broker-frozen")).unwrap();
        broken.add(home.path(), fault("slow-consumer")).unwrap();
        // A command that was killed here left both.
        let mut later = BrokenFaults::load(home.path()).unwrap();
        assert_eq!(later, broken);
        later.remove(home.path(), "broker-frozen").unwrap();
        let left = BrokenFaults::load(home.path()).unwrap();
        assert!(left.contains("slow-consumer") && !left.contains("broker-frozen"));
        later.remove(home.path(), "slow-consumer").unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn down_keeps_what_is_in_the_data_of_the_broker() {
        let home = tempfile::tempdir().unwrap();
        let mut broken = BrokenFaults::default();
        for name in [
            "broker-frozen",
            "short-retention",
            "slow-consumer",
            "wrong-bootstrap",
            "of-a-newer-version",
        ] {
            broken.add(home.path(), fault(name)).unwrap();
        }
        broken.after_down(home.path()).unwrap();
        let left = BrokenFaults::load(home.path()).unwrap();
        let names: Vec<_> = left.faults.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            ["short-retention", "slow-consumer", "of-a-newer-version"]
        );
    }

    #[test]
    fn a_write_that_was_cut_off_leaves_the_file_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let mut broken = BrokenFaults::default();
        broken.add(home.path(), fault("hot-key")).unwrap();
        fs::write(home.path().join("broken-faults.json.new"), "{\"ver").unwrap();
        assert_eq!(BrokenFaults::load(home.path()).unwrap(), broken);
    }

    #[test]
    fn a_damaged_file_and_one_of_another_version_are_refused_and_kept() {
        let home = tempfile::tempdir().unwrap();
        for (text, why) in [
            ("", "is damaged"),
            ("[]", "is damaged"),
            ("{\"version\":1}", "is damaged"),
            ("{\"version\":1,\"faults\":[],\"more\":1}", "is damaged"),
            ("{\"version\":2,\"faults\":[]}", "has version 2, not 1"),
        ] {
            fs::write(file(home.path()), text).unwrap();
            let error = BrokenFaults::load(home.path()).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains('\n'), "{error}");
            assert_eq!(fs::read_to_string(file(home.path())).unwrap(), text);
        }
        forget(home.path()).unwrap();
        assert!(BrokenFaults::load(home.path()).is_ok());
    }

    #[tokio::test]
    async fn two_commands_do_not_change_the_file_at_once() {
        let home = tempfile::tempdir().unwrap();
        let first = lock(home.path()).await.unwrap();
        let second = lock_within(home.path(), Duration::from_millis(100)).await;
        let error = second.unwrap_err().to_string();
        assert!(error.contains("another command"), "{error}");
        drop(first);
        lock(home.path()).await.unwrap();
    }
}
