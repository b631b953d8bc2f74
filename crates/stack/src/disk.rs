//! The free space of the file systems that a stack writes to: examined before a start, and named by every command that fails
//! for want of it.

use std::fmt;
use std::io;
use std::path::Path;

use anyhow::{Error, Result, bail};
use local_runtime::disk_space::{DiskSpace, NEEDED_BY_NEW_STACK, NEEDED_TO_RUN};
use local_runtime::postgres::POSTGRES;

use crate::Stack;
use crate::start_plan::StartPlan;

const REMEDY: &str = "make room (./sandbox down --reset removes all data of this stack), or let SANDBOX_HOME be a folder on another file system";

/// The shortage of a file system, put before an error that it has caused.
#[derive(Debug)]
struct Shortage(String);

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Stack<'_> {
    /// What is missing, and what helps, if the file systems of this stack have too little space for a running stack; `None` if
    /// they have enough.
    pub(crate) fn disk_shortage(&self) -> Result<Option<String>> {
        self.shortage(NEEDED_TO_RUN)
    }

    /// Fails if the plan starts broker or database, and they have too little space. A server without space would end with an
    /// error about one of its files, and may leave that file damaged.
    pub fn require_disk_space(&self, plan: &StartPlan) -> Result<()> {
        match self.shortage_for(plan)? {
            Some(shortage) => bail!("{shortage}"),
            None => Ok(()),
        }
    }

    /// As [`Stack::disk_shortage`], for a start of this plan. `None` if it starts neither broker nor database.
    pub(crate) fn shortage_for(&self, plan: &StartPlan) -> Result<Option<String>> {
        let alive = self.alive_processes()?;
        let starts = |planned: bool, name: &str| planned && !alive.iter().any(|one| one == name);
        let mut brokers = plan.kafka.iter().map(|node| node.name());
        if !brokers.any(|name| starts(true, &name)) && !starts(plan.postgres, POSTGRES) {
            return Ok(None);
        }
        let mut brokers = self.layout.brokers().into_iter();
        let is_new = !brokers.any(|node| self.state_dir().data().join(node.name()).exists());
        let needed = if is_new {
            NEEDED_BY_NEW_STACK
        } else {
            NEEDED_TO_RUN
        };
        self.shortage(needed)
    }

    /// Puts the file system before the error of a start, if it has too little space now: a server's own error does not say
    /// which one it was.
    pub(crate) fn name_shortage(&self, error: Error) -> Result<Error> {
        Ok(match self.disk_shortage()? {
            Some(shortage) => error.context(Shortage(shortage)),
            None => error,
        })
    }

    fn shortage(&self, needed: u64) -> Result<Option<String>> {
        let mut folders = vec![self.state_dir().folder().to_owned()];
        folders.extend(self.state_dir().folders_outside()?);
        for folder in folders {
            if let Some(shortage) = DiskSpace::of(&folder)?.shortage(needed) {
                let place = folder.display();
                return Ok(Some(format!("{shortage} in {place}: {REMEDY}")));
            }
        }
        Ok(None)
    }
}

/// Puts the file system of `home` before an error of a write that found no space, unless the error names it already.
pub fn name_full_disk(error: Error, home: &Path) -> Error {
    if error.is::<Shortage>() {
        return error;
    }
    let full = error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(
            kind,
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        )
    });
    let shortage = full.then(|| DiskSpace::of(home).ok()?.shortage(NEEDED_TO_RUN));
    match shortage.flatten() {
        Some(shortage) => error.context(Shortage(format!("{shortage}: {REMEDY}"))),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_of_a_full_disk_gets_another_text() {
        let home = tempfile::tempdir().unwrap();
        let other = Error::from(io::Error::from(io::ErrorKind::NotFound)).context("cannot read");
        assert_eq!(
            name_full_disk(other, home.path()).to_string(),
            "cannot read"
        );
        // The file system of /proc has no free blocks.
        let full = Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("cannot write");
        let named = name_full_disk(full, Path::new("/proc/self"));
        let named = format!("{:#}", name_full_disk(named, Path::new("/proc/self")));
        assert_eq!(named.matches("the file system").count(), 1, "{named}");
        assert!(
            named.starts_with("the file system /proc has 0.0 MB free")
                && named.contains("cannot write"),
            "{named}"
        );
    }
}
