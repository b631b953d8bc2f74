//! Temporary files that hold the items, all items of an order in the same file. The audit reads a few files at a time, so its memory
//! depends on the size of a file and not on the number of orders.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use crate::item::{Item, hash};
use crate::item_bytes::ITEM_BYTES;

/// The number of items that one file is meant to hold. 50 000 items take 3 MB, and 10 MB while they are sorted.
const ITEMS_PER_FILE: u64 = 50_000;

/// The greatest number of files. A process may open 1024 by default.
const MAX_FILES: u64 = 512;

/// The bytes that are collected before they are written to a file.
const BUFFER: usize = 8_192;

/// The greatest number of threads that read files: each has one file in memory.
const MAX_THREADS: usize = 4;

/// The files. They have no name, so they are gone when the program ends, however it ends. Several threads may add items.
pub(crate) struct ItemFiles {
    files: Vec<Mutex<ItemFile>>,
}

struct ItemFile {
    file: File,
    /// What is not written yet.
    buffer: Vec<u8>,
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
            Ok(Mutex::new(ItemFile {
                file,
                buffer: Vec::with_capacity(BUFFER),
                failed: None,
            }))
        };
        Ok(Self {
            files: (0..count).map(open).collect::<Result<_>>()?,
        })
    }

    /// Writes an item. An error is kept until [`Self::fold`].
    pub fn add(&self, item: Item) {
        let file = hash(&item.subject.id) % self.files.len().max(1) as u64;
        if let Some(file) = self.files.get(file as usize) {
            file.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .add(item);
        }
    }

    /// Passes the items of each file, sorted by subject. Several threads do that at the same time. Each collects a result of its own,
    /// and the results are in the order of the files.
    pub fn fold<T: Default + Send>(
        self,
        on_file: impl Fn(&mut T, &[Item]) + Sync,
    ) -> Result<Vec<T>> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let of_thread = self.files.len().div_ceil(threads.min(MAX_THREADS));
        let mut files = self.files.into_iter();
        let on_file = &on_file;
        thread::scope(|scope| {
            let mut started = Vec::new();
            loop {
                let files: Vec<_> = files.by_ref().take(of_thread).collect();
                if files.is_empty() {
                    break;
                }
                started.push(scope.spawn(move || fold_files(files, on_file)));
            }
            let results = started.into_iter().map(thread::ScopedJoinHandle::join);
            results
                .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        })
    }
}

impl ItemFile {
    fn add(&mut self, item: Item) {
        if self.failed.is_some() {
            return;
        }
        item.to_bytes(&mut self.buffer);
        if self.buffer.len() >= BUFFER {
            self.failed = self.flush().err();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// All bytes that were written.
    fn read(mut self, bytes: &mut Vec<u8>) -> Result<()> {
        const WRITE: &str = "cannot write a temporary file";
        if let Some(error) = self.failed {
            return Err(error).context(WRITE);
        }
        self.flush().context(WRITE)?;
        self.file.rewind()?;
        self.file.read_to_end(bytes)?;
        Ok(())
    }
}

fn fold_files<T: Default>(
    files: Vec<Mutex<ItemFile>>,
    on_file: &impl Fn(&mut T, &[Item]),
) -> Result<T> {
    let (mut bytes, mut items, mut result) = (Vec::new(), Vec::new(), T::default());
    for file in files {
        bytes.clear();
        items.clear();
        let file = file.into_inner().unwrap_or_else(PoisonError::into_inner);
        file.read(&mut bytes)?;
        items.extend(bytes.chunks_exact(ITEM_BYTES).filter_map(Item::from_bytes));
        items.sort_by_key(|item: &Item| item.subject);
        on_file(&mut result, &items);
    }
    Ok(result)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeSet;

    use shared_events::OrderId;

    use super::*;
    use crate::item::{Fact, Subject};

    #[test]
    fn all_items_of_an_order_are_passed_together_once() {
        let files = ItemFiles::create(&std::env::temp_dir(), 6 * ITEMS_PER_FILE).unwrap();
        let orders: BTreeSet<_> = (0..2_000).map(|_| Subject::order(OrderId::now())).collect();
        thread::scope(|scope| {
            for fact in [Fact::Outbox, Fact::AcceptedByClient] {
                let (files, orders) = (&files, &orders);
                scope.spawn(move || {
                    for subject in orders {
                        files.add(Item {
                            subject: *subject,
                            fact,
                        });
                    }
                });
            }
        });
        let results = files.fold(|found: &mut Vec<_>, items| {
            for of_one in items.chunk_by(|one, next| one.subject == next.subject) {
                assert_eq!(of_one.len(), 2);
                found.extend(of_one.first().map(|item| item.subject));
            }
        });
        let found = results.unwrap().concat();
        assert_eq!(found.len(), orders.len());
        assert_eq!(BTreeSet::from_iter(found), orders);
    }
}
