//! The file that a stack keeps between two commands: changed settings, and the processes that a person killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result};
use local_runtime::state_dir::{remove, replace_file};
use serde::{Deserialize, Serialize};

use crate::terminal::note;
use crate::workload::Workload;

/// The content of the file. A command that changes it holds the lock of the stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SavedSettings {
    /// Environment variables of each program that are not the defaults.
    settings: BTreeMap<String, BTreeMap<String, String>>,
    /// Names of processes that a person killed. They stay stopped until a person starts them by name, or everything.
    killed: BTreeSet<String>,
    /// Names of workloads that a person or the autoscaler scaled to 0. A file of an earlier version has none.
    #[serde(default)]
    scaled_to_zero: BTreeSet<String>,
}

impl SavedSettings {
    /// Reads the file in this folder; empty if there is none. A file that cannot be read is empty, too, and is named once: a
    /// damaged file must not keep a person from stopping the stack.
    pub fn load(home: &Path) -> Self {
        static NAMED: Once = Once::new();
        Self::read(home).unwrap_or_else(|error| {
            NAMED.call_once(|| {
                note(format_args!(
                    "{error:#}: the settings that restart --set changed are lost, and the defaults apply; the next change of a setting \
                     or down replaces the file"
                ));
            });
            Self::default()
        })
    }

    fn read(home: &Path) -> Result<Self> {
        let file = file(home);
        match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is damaged", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes the file. A new file is written and renamed, so that a reader never sees half of it.
    pub fn save(&self, home: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot serialize the settings")?;
        replace_file(&file(home), &text)
    }

    /// Removes the file, and what an interrupted command left of a new one.
    pub fn remove(home: &Path) -> Result<()> {
        let file = file(home);
        remove(&file)?;
        remove(&file.with_extension("json.new"))
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

    /// Records whether this workload has no instance on purpose.
    pub fn set_scaled_to_zero(&mut self, workload: Workload, is_zero: bool) {
        if is_zero {
            self.scaled_to_zero.insert(workload.name().to_owned());
        } else {
            self.scaled_to_zero.remove(workload.name());
        }
    }

    /// The workloads that have no instance on purpose.
    pub fn scaled_to_zero(&self) -> impl Iterator<Item = &str> {
        self.scaled_to_zero.iter().map(String::as_str)
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
        let mut saved = SavedSettings::load(home.path());
        let changed = BTreeMap::from([("POISON_PRODUCT".to_owned(), String::new())]);
        saved.replace_settings(Service::Inventory, changed.clone());
        saved.mark_killed("kafka");
        saved.set_scaled_to_zero(Service::Payment.into(), true);
        saved.save(home.path()).unwrap();

        let mut again = SavedSettings::load(home.path());
        assert_eq!(again.settings(Service::Inventory), changed);
        assert!(again.is_killed("kafka") && !again.is_killed("postgres"));
        assert_eq!(
            again.scaled_to_zero().collect::<Vec<_>>(),
            ["payment-service"]
        );
        again.set_scaled_to_zero(Service::Payment.into(), false);
        assert_eq!(again.scaled_to_zero().count(), 0);
        again.unmark_killed("kafka");
        assert!(!again.is_killed("kafka"));

        SavedSettings::remove(home.path()).unwrap();
        assert_eq!(SavedSettings::load(home.path()), SavedSettings::default());
    }

    #[test]
    fn a_damaged_file_is_named_and_replaced() {
        let home = tempfile::tempdir().unwrap();
        let changed = BTreeMap::from([("BATCH_MAX".to_owned(), "7".to_owned())]);
        for damage in [
            "",
            "{\"settings\":{\"order-service\":{\"BATCH",
            "[]",
            "{\"other\":1}",
        ] {
            fs::write(file(home.path()), damage).unwrap();
            let error = SavedSettings::read(home.path()).unwrap_err().to_string();
            assert!(error.contains("saved-settings.json is damaged"), "{error}");
            let mut saved = SavedSettings::load(home.path());
            assert_eq!(saved, SavedSettings::default());
            saved.replace_settings(Service::Order, changed.clone());
            saved.save(home.path()).unwrap();
            assert_eq!(SavedSettings::load(home.path()), saved);
        }
        SavedSettings::remove(home.path()).unwrap();
        fs::create_dir_all(file(home.path()).join("folder")).unwrap();
        assert_eq!(SavedSettings::load(home.path()), SavedSettings::default());
        SavedSettings::remove(home.path()).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
