//! Brings Kafka's jars and PostgreSQL's programs from Maven, once, and finds them again.

use crate::home::remove;
use crate::reach::{self, Unprivileged};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const POM: &str = include_str!("../pom.xml");
/// Files that Maven downloads into an empty repository of its own for this pom: measured, and only used for a progress bar.
const DOWNLOADS: u64 = 473;

/// Where the jars and programs come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folder they are brought to (`<checkout>/.sandbox/dist`).
    pub dist: PathBuf,
    /// Another installation of Kafka (`KAFKA_HOME`): a folder that holds `libs/*.jar`.
    pub kafka_home: Option<PathBuf>,
    /// Another installation of PostgreSQL (`PG_BIN`): a folder that holds `initdb` and `postgres`.
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

/// How far [`Sources::fetch`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Maven brings files: this many so far, of about so many. Files that Maven already had are not counted.
    Downloading {
        /// Files brought so far, at most `about`.
        files: u64,
        /// Files a machine brings that never used Maven.
        about: u64,
    },
    /// PostgreSQL's archive is being unpacked.
    Unpacking,
}

impl Sources {
    /// Where everything is, when it is all here.
    ///
    /// # Errors
    /// When something is missing; the message names what, and how to bring it.
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
        Ok(Installation {
            kafka_libs: self.kafka_libs(),
            postgres_bin: programs,
        })
    }

    /// What would have to be downloaded, in words; empty when nothing.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let brought = fs::read_to_string(self.stamp()).is_ok_and(|stamp| stamp == POM);
        let libs = self.kafka_libs();
        if !has(&libs, ".jar") || (self.kafka_home.is_none() && !brought) {
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
            None if !has(&self.archive(), ".txz") || !brought => {
                missing.push(format!(
                    "PostgreSQL's archive ({})",
                    self.archive().display()
                ));
            }
            None => {}
        }
        missing
    }

    /// Brings what is missing: Kafka's jars and PostgreSQL's archive by Maven, then unpacks the archive. Does nothing when all
    /// is there; a second caller waits for the first. An interrupted fetch leaves nothing that looks finished.
    ///
    /// # Errors
    /// With `offline`, when something would have to be downloaded (named); else when Maven or `tar` is not installed or fails
    /// (the message holds Maven's own last error).
    pub async fn fetch(
        &self,
        offline: bool,
        mut progress: impl FnMut(Progress),
    ) -> Result<Installation> {
        fs::create_dir_all(&self.dist)
            .with_context(|| format!("cannot create the folder {}", self.dist.display()))?;
        let lock = fs::File::create(self.dist.join("lock"))
            .context("cannot create the lock of the distribution")?;
        lock.lock().context("cannot lock the distribution")?;
        if !self.missing().is_empty()
            && !offline
            && (self.kafka_home.is_none() || self.pg_bin.is_none())
        {
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

    /// Removes what root had to unpack outside of the distribution's folder. The archive stays: it is unpacked anew when needed.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_outside(&self) -> Result<()> {
        for folder in reach::outside(&self.note())? {
            remove(&folder)?;
        }
        remove(&self.note())
    }

    async fn download(&self, progress: &mut impl FnMut(Progress)) -> Result<()> {
        remove(&self.stamp())?;
        for part in ["kafka", "archive", "postgres"] {
            remove(&self.dist.join(part))?;
        }
        let pom = self.dist.join("pom.xml");
        fs::write(&pom, POM).with_context(|| format!("cannot write {}", pom.display()))?;
        let mut maven = Command::new("mvn");
        maven
            .args(["--batch-mode", "--file"])
            .arg(&pom)
            .arg(format!("-Ddist={}", self.dist.display()))
            .arg("generate-resources");
        maven
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut maven = maven.spawn().context("cannot run mvn: install Maven")?;

        let (mut files, mut complaint) = (0, None);
        progress(Progress::Downloading {
            files,
            about: DOWNLOADS,
        });
        if let Some(output) = maven.stdout.take() {
            let mut lines = BufReader::new(output).lines();
            while let Some(line) = lines
                .next_line()
                .await
                .context("cannot read Maven's output")?
            {
                if line.contains("Downloaded from") {
                    files = DOWNLOADS.min(files + 1);
                    progress(Progress::Downloading {
                        files,
                        about: DOWNLOADS,
                    });
                } else if let Some((_, error)) = line.split_once("[ERROR] ") {
                    complaint.get_or_insert_with(|| error.trim().to_owned());
                }
            }
        }
        if !maven
            .wait()
            .await
            .context("cannot wait for Maven")?
            .success()
        {
            bail!(
                "Maven could not bring Kafka and PostgreSQL: {}",
                complaint.unwrap_or_else(|| "it gave no reason".to_owned())
            );
        }
        // Last: what has a stamp is whole.
        fs::write(self.stamp(), POM)
            .with_context(|| format!("cannot write {}", self.stamp().display()))
    }

    async fn unpack(&self) -> Result<()> {
        let archive = first(&self.archive(), ".txz").context("PostgreSQL's archive is missing")?;
        let programs = self.programs()?;
        let folder = programs.parent().unwrap_or(&programs);
        let fresh = folder.with_extension("new");
        remove(&fresh)?;
        fs::create_dir_all(&fresh)
            .with_context(|| format!("cannot create the folder {}", fresh.display()))?;
        let mut tar = Command::new("tar");
        // The static libraries are half of it, and nobody links here.
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
            .unwrap_or_else(|| self.dist.join("kafka"))
            .join("libs")
    }

    fn archive(&self) -> PathBuf {
        self.dist.join("archive")
    }

    fn stamp(&self) -> PathBuf {
        self.dist.join("brought.xml")
    }

    fn note(&self) -> PathBuf {
        self.dist.join("outside")
    }

    /// The folder of `postgres` and `initdb`: where the user can go who runs them.
    fn programs(&self) -> Result<PathBuf> {
        if let Some(bin) = &self.pg_bin {
            return Ok(bin.clone());
        }
        let user = Unprivileged::instead_of_root()?;
        Ok(reach::within_reach(&self.note(), &self.dist, user.as_ref())?.join("postgres/bin"))
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
