//! What all members of a service's group are told: the service's last record in `sandbox.controls`.

use std::time::Duration;

use shared_events::{GroupControls, Service, Topic};
use tokio::time::timeout;

use crate::publish::RawRecord;
use crate::records::Query;
use crate::{Cluster, ClusterError};

/// How long the broker may take to acknowledge a record.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

impl Cluster {
    /// What the members of the service's group are told now: the last sound record of its key, exactly as it was written.
    /// `None` if there is none, if it was taken back, or if the topic does not exist. Rubbish counts as not written, as members
    /// see it.
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

    /// Tells all members of the service's group, and those that start later, exactly this: what was told before and is not in
    /// it holds no longer. Returns when the broker has acknowledged it. Controls that are out of bounds or name nothing are
    /// refused.
    pub async fn set_controls(
        &self,
        service: Service,
        controls: &GroupControls,
    ) -> Result<(), ClusterError> {
        let unsound = |why: String| ClusterError::Unsound(why);
        controls
            .check()
            .map_err(|limit| unsound(limit.to_string()))?;
        if controls.names_nothing() {
            let why = "controls must name processing_time_ms, batch_max or paused";
            return Err(unsound(why.to_owned()));
        }
        let value = serde_json::to_vec(controls).map_err(|error| unsound(error.to_string()))?;
        self.tell(service, Some(value)).await
    }

    /// Takes everything back that all members of the service's group were told, and what single instances were told besides.
    /// Returns when the broker has acknowledged it.
    pub async fn clear_controls(&self, service: Service) -> Result<(), ClusterError> {
        self.tell(service, None).await
    }

    async fn tell(&self, service: Service, value: Option<Vec<u8>>) -> Result<(), ClusterError> {
        let topic = self.prefix().topic(Topic::Controls);
        // To a topic that is not there, a producer would try to publish for minutes.
        if self.partitions(&topic).await? == 0 {
            let why = format!("there is no topic {topic}: ./sandbox topics create makes it");
            return Err(ClusterError::Missing(why));
        }
        let record = RawRecord {
            topic: Topic::Controls,
            partition: None,
            key: Some(service.name().as_bytes().to_vec()),
            headers: Vec::new(),
            value,
        };
        let published = timeout(ACKNOWLEDGED_WITHIN, self.publish(&[record])).await;
        let late = || ClusterError::TooLate(format!("{topic} did not take a record within 10 s"));
        published.map_err(|_| late())?.map(drop)
    }
}
