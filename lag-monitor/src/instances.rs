//! The instances of the services, and what each of them says about itself.
//!
//! The cluster shows that a group makes no progress. The members know why: each answers
//! `GET /stats` with its settings, its conditions and its partitions. The instances are asked in a
//! loop of their own, so an instance that does not answer never delays a poll of the cluster.

mod instance_list;
mod member_report;

use chrono::{DateTime, Utc};
use shared_events::member_api::MemberStats;
use shared_events::{NamePrefix, Service};

use crate::format::time;

pub use instance_list::{InstanceAddress, InstanceHost, InstanceSource};
pub use member_report::member_reports;

/// The answer of one instance at the last poll, or that there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceReport {
    /// Service and number: `inventory-service.2`.
    pub instance: String,
    /// When the instance was asked.
    pub asked_at: DateTime<Utc>,
    pub stats: Result<MemberStats, NoAnswer>,
}

/// An instance that has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// The reason in a few words: `cannot connect`.
    pub reason: String,
    /// The first poll of those without an answer.
    pub since: DateTime<Utc>,
}

impl InstanceReport {
    /// The full name of the group whose member the instance is. Without an answer it follows from
    /// the instance's name; `None` if that is not the name of a service.
    pub fn group_id(&self, prefix: &NamePrefix) -> Option<String> {
        match &self.stats {
            Ok(stats) => Some(stats.group_id.clone()),
            Err(_) => {
                let (service, _) = self.instance.rsplit_once('.')?;
                let service: Service = service.parse().ok()?;
                Some(prefix.group(service))
            }
        }
    }

    /// One sentence if the instance does not answer.
    pub fn silence(&self) -> Option<String> {
        let no_answer = self.stats.as_ref().err()?;
        let (instance, reason) = (&self.instance, &no_answer.reason);
        let since = time(no_answer.since);
        Some(format!(
            "{instance} has not answered since {since}: {reason}"
        ))
    }

    /// Keeps the time since when the instance does not answer.
    pub(crate) fn continue_from(&mut self, before: &Self) {
        if let (Err(now), Err(before)) = (&mut self.stats, &before.stats) {
            now.since = before.since;
        }
    }
}
