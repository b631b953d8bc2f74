//! Reads a topic once the markers of its transactions are written.

use std::time::Duration;

use kafka_admin::Cluster;
use kafka_admin::records::{Query, Record};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use shared_events::Topic;
use test_stack::eventually;

const DEADLINE: Duration = Duration::from_secs(60);

/// The records of a topic once none of its transactions is open. The broker answers a commit before
/// it has written the markers, and until then a `read_committed` reader sees no record of the
/// transaction.
pub async fn committed(cluster: &Cluster, topic: Topic) -> Vec<Record> {
    let name = cluster.prefix().topic(topic);
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &cluster.settings().bootstrap_servers)
        .set("isolation.level", "read_committed");
    #[allow(
        clippy::disallowed_methods,
        reason = "no other client asks for the last stable offset"
    )]
    let observer: BaseConsumer = settings.create().unwrap();
    eventually(DEADLINE, "no transaction is open", async || {
        let ends = cluster.end_offsets(&name).await;
        for (partition, end) in ends.map_err(|error| error.to_string())? {
            let stable = observer.fetch_watermarks(&name, partition, DEADLINE);
            let (_, stable) = stable.map_err(|error| error.to_string())?;
            if stable < end {
                return Err(format!("partition {partition}: {stable} of {end} offsets"));
            }
        }
        Ok(())
    })
    .await;
    cluster.read(&name, &Query::default()).await.unwrap()
}
