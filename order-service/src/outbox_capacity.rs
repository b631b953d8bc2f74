//! Whether the outbox has room for another row.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The outbox's limit, checked without a query for each request. One instance knows the rows of the
/// last count and the rows it added since. So the limit can be exceeded by the requests already in
/// the queue and by the rows that other instances add between two counts. Rows that are added
/// during a count may count twice until the next one.
#[derive(Debug)]
pub struct OutboxCapacity {
    limit: i64,
    added: AtomicI64,
    /// The outbox is full when `added` reaches this number.
    full_at: AtomicI64,
}

impl OutboxCapacity {
    /// `limit` is the largest number of rows; the outbox is taken for empty until the first count.
    pub fn new(limit: u32) -> Arc<Self> {
        let limit = i64::from(limit);
        Arc::new(Self {
            limit,
            added: AtomicI64::new(0),
            full_at: AtomicI64::new(limit),
        })
    }

    /// Rows this instance has ever added. Read it *before* counting the rows of the table, and pass
    /// it to [`Self::set_counted`].
    pub fn added(&self) -> i64 {
        self.added.load(Ordering::Relaxed)
    }

    /// The table had `rows` rows after this instance had added `added` rows.
    pub fn set_counted(&self, rows: i64, added: i64) {
        self.full_at
            .store(added + self.limit - rows, Ordering::Relaxed);
    }

    /// This instance added rows. Rows that the relay deletes are noticed at the next count.
    pub fn add(&self, rows: usize) {
        self.added.fetch_add(rows as i64, Ordering::Relaxed);
    }

    pub fn is_full(&self) -> bool {
        self.added() >= self.full_at.load(Ordering::Relaxed)
    }
}
