//! The folder that holds all state of one stack.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one stack (`SANDBOX_HOME`): data, logs and process records. Two stacks with different homes know nothing
/// of one another.
#[derive(Clone, Debug)]
pub struct Home {
    folder: PathBuf,
}

/// Held while a command changes which processes run; dropped, it lets the next command in.
#[derive(Debug)]
pub struct HomeLock {
    _file: fs::File,
}

impl Home {
    /// The home at `folder`, which is created when it is missing and made absolute.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn at(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot find the folder {}", folder.display()))?;
        let home = Self { folder };
        for part in [home.logs(), home.run(), home.data(), home.config()] {
            fs::create_dir_all(&part)
                .with_context(|| format!("cannot create the folder {}", part.display()))?;
        }
        Ok(home)
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One log file a process.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// One record a process.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// What broker and database store.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Configuration files written for the broker.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("config")
    }

    /// Takes the home for one command; `None` when another command has it.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn try_lock(&self) -> Result<Option<HomeLock>> {
        let path = self.folder.join("lock");
        let file =
            fs::File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(HomeLock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Removes everything in the home, also what had to be put elsewhere (see [`crate::postgres`]). Nothing may run in it.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_data(&self) -> Result<()> {
        for outside in crate::reach::outside(&self.outside_note())? {
            remove(&outside)?;
        }
        for part in [
            self.data(),
            self.logs(),
            self.run(),
            self.config(),
            self.outside_note(),
        ] {
            remove(&part)?;
        }
        Ok(())
    }

    /// Names the folders of this home that lie elsewhere.
    pub(crate) fn outside_note(&self) -> PathBuf {
        self.folder.join("outside")
    }
}

/// Removes a file or a folder with all it holds; one that is not there is removed already.
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
