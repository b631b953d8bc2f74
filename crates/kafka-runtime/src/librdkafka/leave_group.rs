//! Leaving the group with a limit, and whether the coordinator has answered.
//!
//! librdkafka sends `LeaveGroup` when the last partition is unassigned. Only closing the client waits for the answer
//! (`rd_kafka_cgrp_try_terminate`): a process that ends before may take the request with it, and then its partitions are blocked
//! until the session time-out. Closing also ends without an answer if the coordinator is not reachable, so a connection that
//! fails meanwhile counts as unanswered.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;

use super::{Client, close_in_background};

/// How long one poll waits for the revocation of the partitions.
const POLL: Duration = Duration::from_millis(50);

/// Whether the coordinator has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    Answered,
    /// The reason.
    Unanswered(&'static str),
}

/// Unsubscribes, waits until no partition is assigned, and closes the client.
pub(super) fn leave(client: Arc<Client>, limit: Duration) -> Left {
    let deadline = Instant::now() + limit;
    let context = client.context().clone();
    let (was_reachable, failures) = (context.is_reachable(), context.connection_failures());
    client.unsubscribe();
    // Closing while a rebalance callback waits to be served may hang (issue 4527), so the partitions are revoked first.
    while !context.assigned().is_empty() && Instant::now() < deadline {
        // Records that still arrive are dropped: they are not committed, so another member gets them.
        let _ = client.poll(POLL);
    }
    let closed = close_within(client, deadline.saturating_duration_since(Instant::now()));
    if !was_reachable || context.connection_failures() != failures {
        return Left::Unanswered("the broker is not reachable");
    }
    match closed {
        true => Left::Answered,
        false => Left::Unanswered("the coordinator did not answer in time"),
    }
}

/// Closes the client on a thread of its own. Whether it is closed within the limit.
fn close_within(client: Arc<Client>, limit: Duration) -> bool {
    let Ok(client) = Arc::try_unwrap(client).map_err(close_in_background) else {
        // A commit that was never answered holds it.
        return false;
    };
    let (closed, is_closed) = mpsc::sync_channel(1);
    let closing = std::thread::Builder::new().name("closing".to_owned());
    // Without a thread the client is closed on this one, and the channel is closed with it.
    let spawned = closing.spawn(move || {
        drop(client);
        // It fails if the limit is over.
        let _ = closed.send(());
    });
    spawned.is_ok() && is_closed.recv_timeout(limit).is_ok()
}
