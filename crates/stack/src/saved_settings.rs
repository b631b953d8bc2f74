//! The file that a stack keeps between two commands: changed settings, and the processes that a person killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// The content of the file. A command that changes it holds the lock of the stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedSettings {
    /// Environment variables of each program that are not the defaults.
    settings: BTreeMap<String, BTreeMap<String, String>>,
    /// Names of processes that a person killed. They stay stopped until a person starts them by name, or everything.
    killed: BTreeSet<String>,
}

impl SavedSettings {
    /// Reads the file in this folder; empty if there is none.
    pub fn load(home: &Path) -> Result<Self> {
        let file = file(home);
        match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged: remove it", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes the file. A new file is written and renamed, so that a reader never sees half of it.
    pub fn save(&self, home: &Path) -> Result<()> {
        let file = file(home);
        let text = serde_json::to_string_pretty(self).context("cannot serialize the settings")?;
        let fresh = file.with_extension("json.new");
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Removes the file.
    pub fn remove(home: &Path) -> Result<()> {
        let file = file(home);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// The changed settings of this workload: environment variables and values.
    pub fn settings(&self, workload: impl Into<Workload>) -> BTreeMap<String, String> {
        self.settings
            .get(workload.into().name())
            .cloned()
            .unwrap_or_default()
    }

    /// Replaces the changed settings of this workload.
    pub fn replace_settings(
        &mut self,
        workload: impl Into<Workload>,
        settings: BTreeMap<String, String>,
    ) {
        let name = workload.into().name();
        if settings.is_empty() {
            self.settings.remove(name);
        } else {
            self.settings.insert(name.to_owned(), settings);
        }
    }

    /// Whether a person killed this process and has not started it since.
    pub fn is_killed(&self, name: &str) -> bool {
        self.killed.contains(name)
    }

    /// Records that a person killed this process.
    pub fn mark_killed(&mut self, name: &str) {
        self.killed.insert(name.to_owned());
    }

    /// Records that a person started this process.
    pub fn unmark_killed(&mut self, name: &str) {
        self.killed.remove(name);
    }
}

fn file(home: &Path) -> PathBuf {
    home.join("saved-settings.json")
}

#[cfg(test)]
mod tests {
    use shared_events::Service;

    use super::*;

    #[test]
    fn changed_settings_and_killed_processes_are_saved_until_removed() {
        let home = tempfile::tempdir().unwrap();
        let mut saved = SavedSettings::load(home.path()).unwrap();
        let changed = BTreeMap::from([("POISON_PRODUCT".to_owned(), String::new())]);
        saved.replace_settings(Service::Inventory, changed.clone());
        saved.mark_killed("kafka");
        saved.save(home.path()).unwrap();

        let mut again = SavedSettings::load(home.path()).unwrap();
        assert_eq!(again.settings(Service::Inventory), changed);
        assert!(again.is_killed("kafka") && !again.is_killed("postgres"));
        again.unmark_killed("kafka");
        assert!(!again.is_killed("kafka"));

        SavedSettings::remove(home.path()).unwrap();
        assert_eq!(
            SavedSettings::load(home.path()).unwrap(),
            SavedSettings::default()
        );
    }
}
