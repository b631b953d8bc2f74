//! Downloads Kafka's jars and PostgreSQL's programs with Maven, once, and finds them later.

mod maven;

use crate::disk_space::{DiskSpace, NEEDED_BY_DOWNLOADS};
use crate::environment;
use crate::run_as_nobody::{UnprivilegedUser, enterable_folder};
use crate::state_dir::{create_folder, listed_folders, remove};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The version of Kafka: the newest that writes the markers of a decided transaction although its
/// broker was killed.
///
/// 4.1 to 4.4.0 lose them (KAFKA-20734), and then a group is blocked until
/// `./sandbox transactions resolve`. A newer version is checked by
/// `KAFKA_VERSION=… .ci/broker-kills 20 2`.
pub const KAFKA_VERSION: &str = "4.0.2";

const POM: &str = include_str!("../pom.xml");

/// Where the jars and programs come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folder of the downloaded files (`<checkout>/.sandbox/dist`).
    pub dist: PathBuf,
    /// The version of Kafka to download, [`KAFKA_VERSION`] by default.
    pub kafka_version: String,
    /// An existing installation of Kafka (`KAFKA_HOME`): a folder that holds `libs/*.jar`.
    pub kafka_home: Option<PathBuf>,
    /// An existing installation of PostgreSQL (`PG_BIN`): a folder that holds `initdb` and
    /// `postgres`.
    pub pg_bin: Option<PathBuf>,
}

/// Jars and programs, present on this machine.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The folder of Kafka's jars.
    pub kafka_libs: PathBuf,
    /// The folder of `initdb` and `postgres`.
    pub postgres_bin: PathBuf,
}

impl Installation {
    /// Java takes a colon for the end of a folder in its class path, and initdb pastes the path of
    /// its folder into a shell line, in double quotes.
    fn require_usable_names(&self) -> Result<()> {
        for (what, folder, refused) in [
            (
                "Java cannot load Kafka's jars",
                &self.kafka_libs,
                &[':'][..],
            ),
            (
                "initdb does not start",
                &self.postgres_bin,
                &['"', '$', '`', '\\'],
            ),
        ] {
            let path = folder
                .to_str()
                .with_context(|| format!("{what} from {folder:?}: the path is not UTF-8"))?;
            if let Some(found) = path.chars().find(|c| refused.contains(c) || c.is_control()) {
                bail!(
                    "{what} from {folder:?}, because the path holds {found:?}: move the folder, or name another with KAFKA_HOME and PG_BIN"
                );
            }
        }
        Ok(())
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
}

/// The current step of [`Sources::fetch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Maven downloads files. Files that its local repository already holds are not counted.
    Downloading {
        /// Files downloaded, at most `about`.
        files: u64,
        /// Files that an empty local repository needs.
        about: u64,
    },
    /// PostgreSQL's archive is being unpacked.
    Unpacking,
}

impl Sources {
    /// Where jars and programs are, when all of them are installed.
    ///
    /// # Errors
    /// When something is missing; the message names it and the command that downloads it.
    pub fn installed(&self) -> Result<Installation> {
        let missing = self.missing();
        if !missing.is_empty() {
            bail!(
                "not on this machine: {}. Run `./sandbox fetch` once with a network",
                missing.join(", ")
            );
        }
        let programs = self.programs()?;
        if !programs.join("postgres").is_file() {
            bail!(
                "PostgreSQL's programs are not unpacked: run `./sandbox fetch` (it needs no network for that)"
            );
        }
        let installation = Installation {
            kafka_libs: absolute(&self.kafka_libs())?,
            postgres_bin: absolute(&programs)?,
        };
        installation.require_usable_names()?;
        Ok(installation)
    }

    /// What would have to be downloaded, each as one phrase; empty when nothing is missing.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let downloaded = fs::read_to_string(self.stamp()).is_ok_and(|stamp| stamp == POM);
        let libs = self.kafka_libs();
        if !has(&libs, ".jar") || (self.kafka_home.is_none() && !downloaded) {
            missing.push(format!("Apache Kafka's jars ({})", libs.display()));
        }
        match &self.pg_bin {
            Some(bin) => {
                let absent = ["initdb", "postgres"]
                    .into_iter()
                    .filter(|program| !bin.join(program).is_file());
                missing.extend(
                    absent.map(|program| format!("PostgreSQL's {program} ({})", bin.display())),
                );
            }
            None if !has(&self.archive(), ".txz") || !downloaded => {
                missing.push(format!(
                    "PostgreSQL's archive ({})",
                    self.archive().display()
                ));
            }
            None => {}
        }
        missing
    }

    /// Downloads Kafka's jars and PostgreSQL's archive with Maven if they are missing, then unpacks
    /// the archive. A second caller waits for the first. An interrupted fetch is repeated by the
    /// next call.
    ///
    /// # Errors
    /// With `offline`, when something would have to be downloaded; the message names it. Else when
    /// Maven or `tar` is not installed or fails; the message holds Maven's first error.
    pub async fn fetch(
        &self,
        offline: bool,
        mut progress: impl FnMut(Progress),
    ) -> Result<Installation> {
        create_folder(&self.dist)?;
        let lock = fs::File::create(self.dist.join("lock"))
            .context("cannot create the lock file of the downloads")?;
        lock.lock().context("cannot lock the downloads")?;
        if !self.missing().is_empty()
            && !offline
            && (self.kafka_home.is_none() || self.pg_bin.is_none())
        {
            if let Some(shortage) = DiskSpace::of(&self.dist)?.shortage(NEEDED_BY_DOWNLOADS) {
                bail!("{shortage} in {}", self.dist.display());
            }
            self.download(&mut progress).await?;
        }
        if self.missing().is_empty()
            && self.pg_bin.is_none()
            && !self.programs()?.join("postgres").is_file()
        {
            progress(Progress::Unpacking);
            self.unpack().await?;
        }
        self.installed()
    }

    /// Removes the programs that root had to unpack outside of `dist`. The archive stays, and
    /// [`Sources::fetch`] unpacks it again.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_outside(&self) -> Result<()> {
        for folder in listed_folders(&self.outside_list())? {
            remove(&folder)?;
        }
        remove(&self.outside_list())
    }

    async fn download(&self, progress: &mut impl FnMut(Progress)) -> Result<()> {
        remove(&self.stamp())?;
        // Maven does not bring an archive again while one of its markers says that it did.
        for part in [&self.kafka_folder(), "archive", "markers"] {
            remove(&self.dist.join(part))?;
        }
        let pom = self.dist.join("pom.xml");
        fs::write(&pom, POM).with_context(|| format!("cannot write {}", pom.display()))?;
        maven::run(&self.dist, &self.kafka_version, progress).await?;
        if self.pg_bin.is_none() {
            progress(Progress::Unpacking);
            self.unpack().await?;
        }
        // Written last: the stamp says that the download is complete.
        fs::write(self.stamp(), POM)
            .with_context(|| format!("cannot write {}", self.stamp().display()))
    }

    async fn unpack(&self) -> Result<()> {
        let archive = first(&self.archive(), ".txz").context("PostgreSQL's archive is missing")?;
        let programs = self.programs()?;
        let folder = programs.parent().unwrap_or(&programs);
        let fresh = folder.with_extension("new");
        remove(&fresh)?;
        create_folder(&fresh)?;
        let mut tar = Command::new("tar");
        environment::replace(tar.as_std_mut());
        // Static libraries are half of the archive, and the programs do not need them.
        tar.args([
            "--extract",
            "--xz",
            "--no-same-owner",
            "--exclude=*.a",
            "--file",
        ])
        .arg(&archive)
        .arg("--directory")
        .arg(&fresh);
        let output = tar
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run tar: install tar and xz")?;
        if !output.status.success() {
            bail!(
                "cannot unpack {}: {}",
                archive.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        remove(folder)?;
        fs::rename(&fresh, folder)
            .with_context(|| format!("cannot move PostgreSQL to {}", folder.display()))
    }

    fn kafka_libs(&self) -> PathBuf {
        self.kafka_home
            .clone()
            .unwrap_or_else(|| self.dist.join(self.kafka_folder()))
            .join("libs")
    }

    fn kafka_folder(&self) -> String {
        format!("kafka-{}", self.kafka_version)
    }

    fn archive(&self) -> PathBuf {
        self.dist.join("archive")
    }

    fn stamp(&self) -> PathBuf {
        self.dist
            .join(format!("downloaded-{}.xml", self.kafka_folder()))
    }

    fn outside_list(&self) -> PathBuf {
        self.dist.join("outside")
    }

    /// The folder of `postgres` and `initdb`, which the user that runs them can enter.
    fn programs(&self) -> Result<PathBuf> {
        if let Some(bin) = &self.pg_bin {
            return Ok(bin.clone());
        }
        let user = UnprivilegedUser::instead_of_root()?;
        Ok(enterable_folder(&self.outside_list(), &self.dist, user.as_ref())?.join("postgres/bin"))
    }
}

fn has(folder: &Path, ending: &str) -> bool {
    first(folder, ending).is_some()
}

fn first(folder: &Path, ending: &str) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()));
    files.find(|path| path.to_string_lossy().ends_with(ending))
}
