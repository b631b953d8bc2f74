//! PostgreSQL refuses to run as root. When root asks, it runs as `nobody`, and then its files must lie where `nobody` can go.

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User, geteuid};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The user that stands in for root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unprivileged {
    uid: u32,
    gid: u32,
}

impl Unprivileged {
    /// `nobody` when the caller is root, else `None`: then programs run as the caller.
    pub(crate) fn instead_of_root() -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let user = User::from_name("nobody").ok().flatten();
        let user = user.context("PostgreSQL does not run as root and there is no user \"nobody\": run this as another user")?;
        Ok(Some(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        }))
    }

    /// What comes before a command line to run it as this user.
    pub(crate) fn prefix(&self) -> Vec<OsString> {
        let words = [
            format!("--reuid={}", self.uid),
            format!("--regid={}", self.gid),
        ];
        let mut prefix = vec![OsString::from("setpriv")];
        prefix.extend(words.map(OsString::from));
        prefix.extend(["--clear-groups", "--inh-caps=-all"].map(OsString::from));
        prefix
    }

    /// Gives a folder to this user.
    pub(crate) fn own(&self, folder: &Path) -> Result<()> {
        chown(folder, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give away {}", folder.display()))
    }

    fn reaches(&self, folder: &Path) -> bool {
        folder
            .ancestors()
            .filter_map(|ancestor| fs::metadata(ancestor).ok())
            .all(|place| {
                let class = if place.uid() == self.uid {
                    0o100
                } else {
                    0o001
                };
                place.mode() & class != 0
            })
    }
}

/// `wanted`, when `user` can reach it (or there is no other user); else a folder under `/var/tmp` that stands for it, named by a
/// hash of `wanted` and remembered in the file `note`, so that it can be removed later. The folder is created.
pub(crate) fn within_reach(
    note: &Path,
    wanted: &Path,
    user: Option<&Unprivileged>,
) -> Result<PathBuf> {
    fs::create_dir_all(wanted)
        .with_context(|| format!("cannot create the folder {}", wanted.display()))?;
    // One folder, one stand-in, however it was spelt.
    let wanted = &wanted
        .canonicalize()
        .with_context(|| format!("cannot find the folder {}", wanted.display()))?;
    if user.is_none_or(|user| user.reaches(wanted)) {
        return Ok(wanted.to_owned());
    }
    let mut hash = DefaultHasher::new();
    wanted.hash(&mut hash);
    let outside = PathBuf::from(format!("/var/tmp/saga-sandbox-{:016x}", hash.finish()));
    match fs::create_dir(&outside) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error)
                .with_context(|| format!("cannot create the folder {}", outside.display()));
        }
        _ => {}
    }
    // Anybody can make folders there: one that is not ours could be exchanged under our feet.
    let found = fs::symlink_metadata(&outside)
        .with_context(|| format!("cannot read {}", outside.display()))?;
    if !found.is_dir() || Uid::from_raw(found.uid()) != geteuid() {
        bail!("{} belongs to somebody else: remove it", outside.display());
    }
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o711))
        .with_context(|| format!("cannot open {} to its user", outside.display()))?;
    remember(note, &outside)?;
    Ok(outside)
}

/// The folders remembered in the file `note`.
pub(crate) fn outside(note: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_to_string(note) {
        Ok(text) => Ok(text.lines().map(PathBuf::from).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", note.display())),
    }
}

fn remember(note: &Path, folder: &Path) -> Result<()> {
    let mut known = outside(note)?;
    if known.iter().any(|known| known == folder) {
        return Ok(());
    }
    known.push(folder.to_owned());
    let lines: Vec<String> = known
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    fs::write(note, lines.join("\n")).with_context(|| format!("cannot write {}", note.display()))
}
