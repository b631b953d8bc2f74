//! Waits until the shop has no work left.

use std::fmt;

use anyhow::{Context, Result};
use cluster_reader::{ClusterReader, Group};
use shared_events::{NamePrefix, Service};
use stack::lag_view;

use crate::audit::Sources;
use crate::databases;

/// Whether the shop has no work left: the outbox is empty and every group has committed all records, twice in a row with the same
/// offsets. Work in progress is an uncommitted record, or it has published a new one in between. An order that has not ended by then
/// waits for a person, or for ever.
pub struct CaughtUp<'a> {
    sources: &'a Sources,
    reader: ClusterReader,
    before: Vec<Group>,
}

impl<'a> CaughtUp<'a> {
    /// Sends no request.
    pub fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            reader: lag_view::reader(&sources.kafka),
            before: Vec::new(),
        }
    }

    /// Looks once. `Err` inside describes the work that is left.
    ///
    /// # Errors
    /// The broker or the database cannot be read.
    pub async fn look(&mut self) -> Result<Result<(), String>> {
        let snapshot = lag_view::read(&mut self.reader).await?;
        let prefix = &self.sources.kafka.name_prefix;
        let of_service = |service| lag_view::service_group(&snapshot, prefix, service);
        let groups: Vec<_> = Service::ALL.into_iter().map(of_service).collect();
        let rows = databases::outbox_rows(&self.sources.orders_database).await;
        let rows = rows.context(databases::ORDERS_DATABASE)?;
        let caught_up = rows == 0 && groups.iter().all(Group::is_caught_up);
        let left = Left {
            rows,
            groups: &groups,
            prefix,
        };
        let left = left.to_string();
        let alike = std::mem::replace(&mut self.before, groups) == self.before;
        Ok(match caught_up && alike {
            true => Ok(()),
            false => Err(left),
        })
    }
}

struct Left<'a> {
    rows: i64,
    groups: &'a [Group],
    prefix: &'a NamePrefix,
}

impl fmt::Display for Left<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows in the outbox", self.rows)?;
        for (service, group) in Service::ALL.into_iter().zip(self.groups) {
            write!(f, "; {} {group}", self.prefix.group(service))?;
        }
        Ok(())
    }
}
