//! A reading of the cluster every few seconds.

use std::time::Duration;

use cluster_reader::ClusterReader;
use service_kit::Component;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::watch::Watch;

/// How long one call to a broker may take, and connecting to it. A reading has about eight.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the cluster now and then every so often, and tells the watch what came of it, until `shutdown`. A reading that takes
/// longer than that is followed by the next after a whole interval.
pub async fn run(
    mut reader: ClusterReader,
    watch: Watch,
    every: Duration,
    cluster: Component,
    shutdown: CancellationToken,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let polls = async {
        loop {
            ticks.tick().await;
            step(&mut reader, &watch, &cluster).await;
        }
    };
    shutdown.run_until_cancelled(polls).await;
}

/// One reading. An error is said by readiness, which logs it once for an outage.
async fn step(reader: &mut ClusterReader, watch: &Watch, cluster: &Component) {
    match reader.poll().await {
        Ok(snapshot) => {
            watch.read(snapshot);
            cluster.ready();
        }
        Err(error) => {
            watch.failed(error.kind());
            cluster.down(chain(&error));
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
