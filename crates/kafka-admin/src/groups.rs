//! Deletion of consumer groups. Their members and their lag are read by the crate `cluster-reader`.

use std::time::Duration;

use rdkafka::admin::AdminOptions;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, TIMEOUT, resend_if_dropped};
use crate::cluster_error::ClusterError;

impl Cluster {
    /// Deletes groups with their committed offsets. Groups that do not exist are ignored. A group
    /// that still has members is retried: a member that was killed counts until its session
    /// expires.
    ///
    /// # Errors
    /// [`ClusterError::TimedOut`], if a group still has members after `within`.
    pub async fn delete_groups(
        &self,
        names: &[String],
        within: Duration,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + within;
        let mut remaining: Vec<String> = names.to_vec();
        while !remaining.is_empty() {
            remaining = self.try_delete_groups(&remaining).await?;
            if remaining.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                return Err(ClusterError::TimedOut(format!(
                    "these groups still have members after {} s: {}",
                    within.as_secs(),
                    remaining.join(", ")
                )));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Tries once. Returns the groups to retry.
    async fn try_delete_groups(&self, names: &[String]) -> Result<Vec<String>, ClusterError> {
        use RDKafkaErrorCode as Code;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let results = resend_if_dropped(|| self.admin.delete_groups(&names, &options)).await;
        let mut remaining = Vec::new();
        for result in results.map_err(|error| self.error("delete groups", error))? {
            match result {
                Ok(_) | Err((_, Code::GroupIdNotFound)) => {}
                // The coordinator of a broker that has just started is not ready at once.
                Err((
                    name,
                    Code::NonEmptyGroup
                    | Code::CoordinatorLoadInProgress
                    | Code::CoordinatorNotAvailable
                    | Code::NotCoordinator,
                )) => remaining.push(name),
                Err((name, code)) => {
                    let operation = format!("delete group {name}");
                    return Err(ClusterError::failed(operation, KafkaError::AdminOp(code)));
                }
            }
        }
        Ok(remaining)
    }
}
