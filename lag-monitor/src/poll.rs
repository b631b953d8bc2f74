//! Polls the cluster: one snapshot in every interval.

use std::time::Duration;

use cluster_reader::ClusterReader;
use service_kit::Component;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::lag_state::LagState;

/// Limit for one call to a broker, connecting included. A poll makes about eight calls.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Polls the cluster at once and then in every interval, and records each result in `state`, until
/// `shutdown`. A poll that takes longer than the interval is followed by a whole interval of pause,
/// so that a slow broker is not polled without a break.
pub async fn run(
    mut reader: ClusterReader,
    state: LagState,
    poll_interval: Duration,
    kafka: Component,
    shutdown: CancellationToken,
) {
    let mut ticks = interval(poll_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let polls = async {
        loop {
            ticks.tick().await;
            poll_once(&mut reader, &state, &kafka).await;
        }
    };
    shutdown.run_until_cancelled(polls).await;
}

/// An error is reported through readiness, which logs an outage once.
async fn poll_once(reader: &mut ClusterReader, state: &LagState, kafka: &Component) {
    match reader.poll().await {
        Ok(snapshot) => {
            state.record_snapshot(snapshot);
            kafka.ready();
        }
        Err(error) => {
            state.record_failure(error.kind());
            kafka.down(error_chain(&error));
        }
    }
}

/// The error with its causes.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", error_chain(cause)),
        None => error.to_string(),
    }
}
