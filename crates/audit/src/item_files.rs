//! Temporary files that hold the items, all items of an order in the same file. The audit reads one file at a time, so its memory
//! depends on the size of a file and not on the number of orders.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::item::{Item, hash};
use crate::item_bytes::ITEM_BYTES;

/// The number of items that one file is meant to hold. 50 000 items take 3 MB, and 5 MB when they are sorted.
const ITEMS_PER_FILE: u64 = 50_000;

/// The greatest number of files. A process may open 1024 by default.
const MAX_FILES: u64 = 512;

/// The size of a file's buffer, bytes.
const BUFFER: usize = 8_192;

/// The files. They have no name, so they are gone when the program ends, however it ends.
pub(crate) struct ItemFiles {
    files: Vec<BufWriter<File>>,
    bytes: Vec<u8>,
    /// The first failed write. The items after it are not written.
    failed: Option<io::Error>,
}

impl ItemFiles {
    /// Opens files in this folder for about this number of items.
    pub fn create(folder: &Path, items: u64) -> Result<Self> {
        let count = (items / ITEMS_PER_FILE).clamp(1, MAX_FILES);
        let open = |_| {
            let file = tempfile::tempfile_in(folder).with_context(|| {
                format!("cannot create a temporary file in {}", folder.display())
            })?;
            Ok(BufWriter::with_capacity(BUFFER, file))
        };
        Ok(Self {
            files: (0..count).map(open).collect::<Result<_>>()?,
            bytes: Vec::with_capacity(ITEM_BYTES),
            failed: None,
        })
    }

    /// Writes an item. An error is kept until [`Self::for_each`].
    pub fn add(&mut self, item: Item) {
        if self.failed.is_some() {
            return;
        }
        let file = hash(&item.subject.id) % self.files.len().max(1) as u64;
        self.bytes.clear();
        item.to_bytes(&mut self.bytes);
        if let Some(file) = self.files.get_mut(file as usize) {
            self.failed = file.write_all(&self.bytes).err();
        }
    }

    /// Passes the items of each file, sorted by subject.
    pub fn for_each(self, mut on_file: impl FnMut(&[Item])) -> Result<()> {
        const WRITE: &str = "cannot write a temporary file";
        if let Some(error) = self.failed {
            return Err(error).context(WRITE);
        }
        let (mut bytes, mut items) = (Vec::new(), Vec::new());
        for file in self.files {
            let mut file = file.into_inner().context(WRITE)?;
            bytes.clear();
            items.clear();
            file.rewind()?;
            file.read_to_end(&mut bytes)?;
            items.extend(bytes.chunks_exact(ITEM_BYTES).filter_map(Item::from_bytes));
            items.sort_by_key(|item| item.subject);
            on_file(&items);
        }
        Ok(())
    }
}
