//! The file that names the mystery that runs. It is written before the fault is caused, and removed
//! after the fault was undone.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use local_runtime::state_dir::{remove, replace_file};
use serde::{Deserialize, Serialize};
use stack::layout::{Database, StackLayout};
use tokio::time::timeout;

use crate::database::{self, TIMEOUT};

/// The version of the file's form. A file of another version is refused, and stays as it is.
const VERSION: u32 = 1;

/// A mystery that was begun and neither solved nor given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningMystery {
    version: u32,
    /// The name of the mystery, not of its fault.
    pub name: String,
    /// When it was begun: RFC 3339, UTC.
    pub since: String,
    /// How many hints were given.
    pub hints: usize,
    /// How many orders had not ended before it was begun: dead letters of other causes, for example.
    pub unended_orders: i64,
}

impl RunningMystery {
    /// A mystery that begins now.
    pub fn new(name: &str, since: String, unended_orders: i64) -> Self {
        Self {
            version: VERSION,
            name: name.to_owned(),
            since,
            hints: 0,
            unended_orders,
        }
    }

    /// Reads the file in the folder of a stack; `None` if there is none.
    ///
    /// # Errors
    /// The file is damaged, or was written by another version: `./sandbox reset` is the way back.
    pub fn load(home: &Path) -> Result<Option<Self>> {
        let file = file(home);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(found) if found.version == VERSION => Ok(Some(found)),
            _ => bail!(
                "{} is damaged or of another version: ./sandbox reset removes it, and all data",
                file.display()
            ),
        }
    }

    /// Writes the file.
    pub fn save(&self, home: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("cannot serialize the mystery")?;
        replace_file(&file(home), &text)
    }
}

/// Removes the file.
pub fn forget(home: &Path) -> Result<()> {
    remove(&file(home))
}

/// How many orders have not ended, by order-service's table.
pub async fn unended_orders(layout: &StackLayout) -> Result<i64> {
    let [orders, _] = Database::ALL;
    let mut session = database::connect(&database::owner(layout, orders, "sandbox")?).await?;
    let query = "SELECT count(*) FROM orders WHERE status IN ('PENDING', 'PAID', 'REFUNDING')";
    let count = sqlx::query_scalar::<_, i64>(query).fetch_one(&mut session);
    Ok(timeout(TIMEOUT, count)
        .await
        .context("PostgreSQL does not answer")??)
}

fn file(home: &Path) -> PathBuf {
    home.join("mystery.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mystery_is_in_the_file_until_it_is_removed() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(RunningMystery::load(home.path()).unwrap(), None);
        let since = "2026-01-01T00:00:00Z".to_owned();
        let mut running = RunningMystery::new("tea-break", since, 3);
        running.hints += 1;
        running.save(home.path()).unwrap();
        assert_eq!(RunningMystery::load(home.path()).unwrap(), Some(running));
        forget(home.path()).unwrap();
        assert_eq!(RunningMystery::load(home.path()).unwrap(), None);
    }

    #[test]
    fn a_damaged_file_and_one_of_another_version_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let of_another = r#"{"version":2,"name":"a","since":"b","hints":0,"unended_orders":0}"#;
        for text in ["", "{}", "[1]", of_another] {
            fs::write(file(home.path()), text).unwrap();
            let error = RunningMystery::load(home.path()).unwrap_err().to_string();
            assert!(
                error.contains("reset") && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }
}
