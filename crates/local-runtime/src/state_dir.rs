//! The folder that holds all state of one stack.

use anyhow::{Context, Result};
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
    /// When the folder cannot be created.
    pub fn at(folder: &Path) -> Result<Self> {
        create_folder(folder)?;
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot find the folder {}", folder.display()))?;
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
        for folder in listed_folders(&self.outside_list())? {
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

    /// The file that lists the folders of this stack that lie elsewhere.
    pub(crate) fn outside_list(&self) -> PathBuf {
        self.folder.join("outside")
    }
}

pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))
}

/// The folders named in the file `list`; none when there is no such file.
pub(crate) fn listed_folders(list: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_to_string(list) {
        Ok(text) => Ok(text.lines().map(PathBuf::from).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", list.display())),
    }
}

/// Removes a file, or a folder with its contents. A missing path is no error.
pub(crate) fn remove(path: &Path) -> Result<()> {
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
