//! The free space of the file systems that a stack writes to: examined before a start, and named by every command that fails
//! for want of it.

use anyhow::{Result, bail};
use local_runtime::disk_space::{DiskSpace, NEEDED_BY_NEW_STACK, NEEDED_TO_RUN};

use crate::Stack;

impl Stack<'_> {
    /// What is missing, and what helps, if the file systems of this stack have too little space for a running stack; `None` if
    /// they have enough.
    pub fn disk_shortage(&self) -> Result<Option<String>> {
        self.shortage(NEEDED_TO_RUN)
    }

    /// Fails if broker and database cannot be started for want of space. A server without space would end with an error about
    /// one of its files, and may leave that file damaged.
    pub fn require_disk_space(&self) -> Result<()> {
        let is_new = !self.state_dir().data().join("kafka").exists();
        let needed = if is_new {
            NEEDED_BY_NEW_STACK
        } else {
            NEEDED_TO_RUN
        };
        match self.shortage(needed)? {
            Some(shortage) => bail!("{shortage}"),
            None => Ok(()),
        }
    }

    fn shortage(&self, needed: u64) -> Result<Option<String>> {
        let mut folders = vec![self.state_dir().folder().to_owned()];
        folders.extend(self.state_dir().folders_outside()?);
        for folder in folders {
            if let Some(shortage) = DiskSpace::of(&folder)?.shortage(needed) {
                return Ok(Some(format!(
                    "{shortage} in {}: make room (./sandbox down --reset removes all data of this stack), or let SANDBOX_HOME be a folder on another file system",
                    folder.display()
                )));
            }
        }
        Ok(None)
    }
}
