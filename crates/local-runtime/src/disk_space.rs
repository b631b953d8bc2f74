//! The free space of a file system. A server that finds none ends with an error about one of its
//! files, so the file system is examined before a start and named after a failure.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What Kafka and PostgreSQL write before a new stack is ready, with some room. Measured: 46 MB.
pub const NEEDED_BY_NEW_STACK: u64 = 200_000_000;

/// What Kafka and PostgreSQL need for a start with existing data, and to keep running for a while.
pub const NEEDED_TO_RUN: u64 = 64_000_000;

/// What the downloads of Kafka and PostgreSQL take, in the folder of the checkout and unpacked, with some room.
pub const NEEDED_BY_DOWNLOADS: u64 = 300_000_000;

/// The number of files that a stack creates for each topic, table and segment, with some room.
const FILES_NEEDED: u64 = 5_000;

/// The free space of one file system, as a user who is not root can use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// The folder at which the file system is mounted.
    pub mounted_at: PathBuf,
    /// Free bytes.
    pub free_bytes: u64,
    /// The number of files that can still be created. `None` if the file system has no limit.
    pub free_files: Option<u64>,
}

impl DiskSpace {
    /// The file system that holds `folder`, or its nearest ancestor that exists.
    ///
    /// # Errors
    /// When the file system cannot be examined.
    pub fn of(folder: &Path) -> Result<Self> {
        let unreadable = || format!("cannot examine the file system of {}", folder.display());
        let absolute = std::path::absolute(folder).with_context(unreadable)?;
        let existing = absolute
            .ancestors()
            .find_map(|one| one.canonicalize().ok())
            .with_context(unreadable)?;
        let found = nix::sys::statvfs::statvfs(&existing).with_context(unreadable)?;
        // The kernel reports 0 files for a file system that creates inodes as needed.
        let limited = found.files() > 0;
        Ok(Self {
            mounted_at: mount_point(&existing).with_context(unreadable)?,
            free_bytes: found.blocks_available() * found.fragment_size(),
            free_files: limited.then(|| found.files_available()),
        })
    }

    /// What is missing, if the file system cannot take `needed` more bytes: names the file system,
    /// what is free and what is needed.
    #[must_use]
    pub fn shortage(&self, needed: u64) -> Option<String> {
        let place = self.mounted_at.display();
        if self.free_bytes < needed {
            return Some(format!(
                "the file system {place} has {} free, and Kafka and PostgreSQL need {}",
                in_megabytes(self.free_bytes),
                in_megabytes(needed)
            ));
        }
        let files = self.free_files.filter(|free| *free < FILES_NEEDED)?;
        Some(format!(
            "the file system {place} has room for {files} more files, and Kafka and PostgreSQL need {FILES_NEEDED}"
        ))
    }
}

/// The topmost ancestor on the same device.
fn mount_point(folder: &Path) -> std::io::Result<PathBuf> {
    let device = fs::metadata(folder)?.dev();
    let same = |one: &&Path| fs::metadata(one).is_ok_and(|found| found.dev() == device);
    let topmost = folder.ancestors().take_while(same).last();
    Ok(topmost.unwrap_or(folder).to_owned())
}

fn in_megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(free_bytes: u64, free_files: Option<u64>) -> DiskSpace {
        DiskSpace {
            mounted_at: "/srv".into(),
            free_bytes,
            free_files,
        }
    }

    #[test]
    fn a_shortage_names_the_file_system_and_what_is_needed() {
        assert_eq!(
            space(300_000, None).shortage(64_000_000).unwrap(),
            "the file system /srv has 0.3 MB free, and Kafka and PostgreSQL need 64.0 MB"
        );
        assert_eq!(
            space(u64::MAX, Some(12)).shortage(64_000_000).unwrap(),
            "the file system /srv has room for 12 more files, and Kafka and PostgreSQL need 5000"
        );
        for enough in [space(64_000_000, None), space(64_000_000, Some(5_000))] {
            assert_eq!(enough.shortage(64_000_000), None);
        }
    }

    #[test]
    fn the_file_system_of_a_folder_that_does_not_exist_yet_is_that_of_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let parent = DiskSpace::of(folder.path()).unwrap();
        let below = DiskSpace::of(&folder.path().join("a/b")).unwrap();
        assert_eq!(below.mounted_at, parent.mounted_at);
        assert!(folder.path().starts_with(&parent.mounted_at));
        assert_eq!(
            DiskSpace::of(Path::new("/proc/self")).unwrap().mounted_at,
            Path::new("/proc")
        );
    }
}
