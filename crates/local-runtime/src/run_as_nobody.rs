//! PostgreSQL refuses to run as root. When the caller is root, PostgreSQL runs as `nobody`, and its
//! files must lie in folders that `nobody` can enter.

use crate::state_dir::{create_folder, listed_folders, replace_file};
use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User, geteuid};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The user that runs PostgreSQL in place of root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprivilegedUser {
    uid: u32,
    gid: u32,
}

impl UnprivilegedUser {
    /// `nobody` when the caller is root, else `None`: then programs run as the caller.
    pub(crate) fn instead_of_root() -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let user = User::from_name("nobody").ok().flatten();
        let user = user.context(
            "PostgreSQL does not run as root and there is no user \"nobody\": run this as another user",
        )?;
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

    /// Makes this user the owner of a folder.
    pub(crate) fn own(&self, folder: &Path) -> Result<()> {
        chown(folder, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot change the owner of {}", folder.display()))
    }

    fn can_enter(&self, folder: &Path) -> bool {
        folder
            .ancestors()
            .filter_map(|ancestor| fs::metadata(ancestor).ok())
            .all(|ancestor| {
                let execute = if ancestor.uid() == self.uid {
                    0o100
                } else {
                    0o001
                };
                ancestor.mode() & execute != 0
            })
    }
}

/// The beginning of the path of every replacement; a hash of 16 hexadecimal digits follows.
const REPLACEMENT: &str = "/var/tmp/saga-sandbox-";

/// True for the path of a folder that [`enterable_folder`] creates in place of another.
pub(crate) fn is_replacement(folder: &Path) -> bool {
    let hash = folder
        .to_str()
        .and_then(|path| path.strip_prefix(REPLACEMENT));
    hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `wanted`, when `user` can enter it (or there is no other user). Else a replacement under
/// `/var/tmp`, named by a hash of `wanted` and listed in the file `list`, so that it can be removed
/// later. Creates the folder.
pub(crate) fn enterable_folder(
    list: &Path,
    wanted: &Path,
    user: Option<&UnprivilegedUser>,
) -> Result<PathBuf> {
    create_folder(wanted)?;
    // Every spelling of a path must lead to the same replacement.
    let wanted = &wanted
        .canonicalize()
        .with_context(|| format!("cannot find the folder {}", wanted.display()))?;
    if user.is_none_or(|user| user.can_enter(wanted)) {
        return Ok(wanted.to_owned());
    }
    let mut hash = DefaultHasher::new();
    wanted.hash(&mut hash);
    let outside = PathBuf::from(format!("{REPLACEMENT}{:016x}", hash.finish()));
    match fs::create_dir(&outside) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error)
                .with_context(|| format!("cannot create the folder {}", outside.display()));
        }
        _ => {}
    }
    // Any user can create folders in /var/tmp, and could exchange a folder that another user owns.
    let found = fs::symlink_metadata(&outside)
        .with_context(|| format!("cannot read {}", outside.display()))?;
    if !found.is_dir() || Uid::from_raw(found.uid()) != geteuid() {
        bail!("{} belongs to another user: remove it", outside.display());
    }
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o711))
        .with_context(|| format!("cannot change the permissions of {}", outside.display()))?;
    add_to_list(list, &outside)?;
    Ok(outside)
}

fn add_to_list(list: &Path, folder: &Path) -> Result<()> {
    let mut folders = listed_folders(list)?;
    if folders.iter().any(|listed| listed == folder) {
        return Ok(());
    }
    folders.push(folder.to_owned());
    let lines: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    replace_file(list, &(lines.join("\n") + "\n"))
}
