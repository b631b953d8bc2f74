//! The settings of a service's group: its record in `sandbox.controls`.

use std::time::Duration;

use chrono::Utc;
use shared_events::{GroupControls, Service, Topic};
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::cluster_error::ClusterError;
use crate::publish::RawRecord;
use crate::records::Query;

/// How long the broker may take to acknowledge a record.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

impl Cluster {
    /// The current settings of a group: the last valid record of the service. `None` if there is no
    /// record, if the last one is a tombstone, or if the topic does not exist. Invalid records are
    /// ignored, as members ignore them.
    pub async fn controls(&self, service: Service) -> Result<Option<GroupControls>, ClusterError> {
        let query = Query {
            key: Some(service.name().as_bytes().to_vec()),
            ..Query::default()
        };
        let topic = self.prefix().topic(Topic::Controls);
        let mut last = None;
        for record in self.read(&topic, &query).await? {
            match record.value.as_deref().map(GroupControls::decode) {
                None => last = None,
                Some(Ok(controls)) => last = Some(controls),
                Some(Err(_)) => {}
            }
        }
        Ok(last)
    }

    /// Replaces the settings of a group: every running member and every member that starts later
    /// applies exactly these. Returns once the broker has acknowledged the record.
    ///
    /// A `crash_at` without `crash_at_since` is new: it gets the current time, so it is for the processes that run now.
    ///
    /// # Errors
    /// [`ClusterError::Invalid`], if a field is out of bounds or none is set.
    pub async fn set_controls(
        &self,
        service: Service,
        controls: &GroupControls,
    ) -> Result<(), ClusterError> {
        let invalid = |why: String| ClusterError::Invalid(why);
        controls
            .validate()
            .map_err(|limit| invalid(limit.to_string()))?;
        if controls.is_empty() {
            let why = "controls must name processing_time_ms, batch_max, paused, crash_at or protection_off";
            return Err(invalid(why.to_owned()));
        }
        let since = controls.crash_at_since.or(Some(Utc::now()));
        let controls = GroupControls {
            crash_at_since: controls.crash_at.and(since),
            ..controls.clone()
        };
        let value = serde_json::to_vec(&controls).map_err(|error| invalid(error.to_string()))?;
        self.publish_controls(service, Some(value)).await
    }

    /// Resets a group to its defaults: a tombstone removes the settings of the group and those of
    /// single instances. Returns once the broker has acknowledged the record.
    pub async fn clear_controls(&self, service: Service) -> Result<(), ClusterError> {
        self.publish_controls(service, None).await
    }

    async fn publish_controls(
        &self,
        service: Service,
        value: Option<Vec<u8>>,
    ) -> Result<(), ClusterError> {
        let topic = self.prefix().topic(Topic::Controls);
        // A producer would retry for minutes if the topic does not exist.
        if self.partitions(&topic).await? == 0 {
            let why = format!("there is no topic {topic}: ./sandbox topics create makes it");
            return Err(ClusterError::NotFound(why));
        }
        let record = RawRecord {
            topic: Topic::Controls,
            partition: None,
            key: Some(service.name().as_bytes().to_vec()),
            headers: Vec::new(),
            value,
        };
        let published = timeout(ACKNOWLEDGED_WITHIN, self.publish(&[record])).await;
        let late =
            || ClusterError::TimedOut(format!("{topic} did not acknowledge a record in 10 s"));
        published.map_err(|_| late())?.map(drop)
    }
}
