//! What a stack remembers between two commands beside its processes: settings that were changed, and who was killed on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// It lives in one file. Whoever changes it holds the lock of the stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedSettings {
    /// Environment variables of each program that are not the defaults.
    settings: BTreeMap<String, BTreeMap<String, String>>,
    /// Names of processes that a person killed: they stay dead until they are asked for by name, or everything is.
    killed: BTreeSet<String>,
}

impl SavedSettings {
    /// What the stack in this folder remembers; nothing if there is no such file.
    pub fn load(home: &Path) -> Result<Self> {
        let file = file(home);
        match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged: remove it", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Keeps it. Written beside and renamed, so that a reader never sees half a file.
    pub fn save(&self, home: &Path) -> Result<()> {
        let file = file(home);
        let text = serde_json::to_string_pretty(self).context("cannot write down the settings")?;
        let fresh = file.with_extension("json.new");
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Forgets everything.
    pub fn forget(home: &Path) -> Result<()> {
        let file = file(home);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// What was changed for this program.
    pub fn settings(&self, workload: impl Into<Workload>) -> BTreeMap<String, String> {
        self.settings
            .get(workload.into().name())
            .cloned()
            .unwrap_or_default()
    }

    /// Replaces what was changed for this program.
    pub fn change(&mut self, workload: impl Into<Workload>, settings: BTreeMap<String, String>) {
        let name = workload.into().name();
        if settings.is_empty() {
            self.settings.remove(name);
        } else {
            self.settings.insert(name.to_owned(), settings);
        }
    }

    /// Whether a person killed the process of this name, and nobody asked for it since.
    pub fn is_killed(&self, name: &str) -> bool {
        self.killed.contains(name)
    }

    /// A person killed it.
    pub fn killed(&mut self, name: &str) {
        self.killed.insert(name.to_owned());
    }

    /// A person asked for it.
    pub fn wanted(&mut self, name: &str) {
        self.killed.remove(name);
    }
}

fn file(home: &Path) -> PathBuf {
    home.join("memory.json")
}

#[cfg(test)]
mod tests {
    use shared_events::Service;

    use super::*;

    #[test]
    fn what_was_changed_and_killed_is_remembered_until_it_is_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let mut memory = SavedSettings::load(home.path()).unwrap();
        let changed = BTreeMap::from([("POISON_PRODUCT".to_owned(), String::new())]);
        memory.change(Service::Inventory, changed.clone());
        memory.killed("kafka");
        memory.save(home.path()).unwrap();

        let mut again = SavedSettings::load(home.path()).unwrap();
        assert_eq!(again.settings(Service::Inventory), changed);
        assert!(again.is_killed("kafka") && !again.is_killed("postgres"));
        again.wanted("kafka");
        assert!(!again.is_killed("kafka"));

        SavedSettings::forget(home.path()).unwrap();
        assert_eq!(SavedSettings::load(home.path()).unwrap(), SavedSettings::default());
    }
}
