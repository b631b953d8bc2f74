//! The folder that holds all state of one stack.

use crate::run_as_nobody;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one stack (`SANDBOX_HOME`): data, logs and process records. Stacks with different
/// folders share nothing.
#[derive(Clone, Debug)]
pub struct StateDir {
    folder: PathBuf,
}

/// Held while a command changes which processes run. Dropping it releases the lock.
#[derive(Debug)]
pub struct StateDirLock {
    _file: fs::File,
}

impl StateDir {
    /// The state directory at `folder`, made absolute. Creates the folder when it is missing.
    ///
    /// # Errors
    /// As [`require_usable_name`], and when the folder cannot be created.
    pub fn at(folder: &Path) -> Result<Self> {
        require_usable_name(folder)?;
        create_folder(folder)?;
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot find the folder {}", folder.display()))?;
        // `folder` may have been a symbolic link.
        require_usable_name(&folder)?;
        let state_dir = Self { folder };
        for part in [
            state_dir.logs(),
            state_dir.run(),
            state_dir.data(),
            state_dir.config(),
        ] {
            create_folder(&part)?;
        }
        Ok(state_dir)
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the log files: `<process>.log`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The folder of the process records: `<process>.json`, and `<process>.exit` with the exit
    /// code.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// The folder of the servers' data: one subfolder a server.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder of the servers' configuration files.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("config")
    }

    /// Locks the state directory for one command; `None` when another command holds the lock.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn try_lock(&self) -> Result<Option<StateDirLock>> {
        let path = self.folder.join("lock");
        let file =
            fs::File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StateDirLock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Removes all data, logs, records and configuration, also the folders that had to be created
    /// elsewhere (see [`crate::postgres`]). Call it when no process of this stack runs.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_data(&self) -> Result<()> {
        for folder in self.folders_outside()? {
            remove(&folder)?;
        }
        for part in [
            self.data(),
            self.logs(),
            self.run(),
            self.config(),
            self.outside_list(),
        ] {
            remove(&part)?;
        }
        Ok(())
    }

    /// The folders of this stack that had to be created elsewhere.
    ///
    /// # Errors
    /// When the list of them cannot be read.
    pub fn folders_outside(&self) -> Result<Vec<PathBuf>> {
        listed_folders(&self.outside_list())
    }

    /// The file that lists the folders of this stack that lie elsewhere.
    pub(crate) fn outside_list(&self) -> PathBuf {
        self.folder.join("outside")
    }
}

pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))
}

/// The folders named in the file `list`; none when there is no such file. A line that names no
/// folder of this crate's own is skipped: the folders are removed as a whole.
pub(crate) fn listed_folders(list: &Path) -> Result<Vec<PathBuf>> {
    match fs::read(list) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .map(PathBuf::from)
            .filter(|folder| run_as_nobody::is_replacement(folder))
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", list.display())),
    }
}

/// Writes a file under another name and renames it, so that a reader sees the old text or the new
/// one, and a full disk leaves the old one. A folder in the place of the file is removed.
///
/// # Errors
/// When the file cannot be written.
pub fn replace_file(path: &Path, text: &str) -> Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    if fresh.is_dir() {
        remove(&fresh)?;
    }
    let written = fs::write(&fresh, text).and_then(|()| {
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        }
        fs::rename(&fresh, path)
    });
    if written.is_err() {
        // The error of the write says more than one of this removal.
        let _incomplete = fs::remove_file(&fresh);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file, or a folder with its contents. A missing path is no error.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The longest path of a state directory, in bytes. PostgreSQL's paths have at most 1023.
const LONGEST_PATH: usize = 900;

/// Checks that the servers can keep their files below `folder`. They get paths relative to it, so
/// every other character is allowed.
///
/// # Errors
/// When the absolute path is not UTF-8 (Java cannot open it), holds a control character (logs and
/// records of servers have one line for a path), or is longer than 900 bytes.
pub fn require_usable_name(folder: &Path) -> Result<()> {
    let path = std::path::absolute(folder)
        .with_context(|| format!("cannot find the folder {}", folder.display()))?;
    let reason = match path.to_str() {
        None => "its path is not UTF-8".to_owned(),
        Some(text) if text.contains(char::is_control) => {
            "its path holds a control character".to_owned()
        }
        Some(text) if text.len() > LONGEST_PATH => {
            format!(
                "its path has {} bytes, at most {LONGEST_PATH} are possible",
                text.len()
            )
        }
        Some(_) => return Ok(()),
    };
    bail!(
        "the folder {} cannot hold a stack: {reason}",
        shortened(&path)
    )
}

/// A path in one short line.
fn shortened(path: &Path) -> String {
    let text = format!("{path:?}");
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_folder_that_a_server_cannot_use_is_refused_before_it_is_created() {
        let parent = tempfile::tempdir().unwrap();
        for (name, reason) in [
            (&b"B\xfcro"[..], "not UTF-8"),
            (b"new\nline", "a control character"),
            (&[b'a'; 200], "at most 900"),
        ] {
            let mut folder = parent.path().join(OsStr::from_bytes(name));
            if name.len() == 200 {
                folder = (0..4).fold(folder, |longer, _| longer.join(OsStr::from_bytes(name)));
            }
            let error = StateDir::at(&folder).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains('\n'), "{error}");
        }
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_list_of_folders_outside_removes_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let state_dir = StateDir::at(home.path()).unwrap();
        let lines = format!("{}\n/var/tmp\n/\n\n", other.path().display());
        fs::write(state_dir.outside_list(), lines).unwrap();
        assert_eq!(
            state_dir.folders_outside().unwrap(),
            [""; 0].map(PathBuf::from)
        );
        state_dir.remove_data().unwrap();
        assert!(other.path().exists());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
