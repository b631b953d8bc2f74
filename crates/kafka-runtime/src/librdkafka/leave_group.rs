//! Leaving the group with a limit, and whether the coordinator has answered.
//!
//! A process that ends before the coordinator has answered `LeaveGroup` may take the request with it. Then the group waits for the
//! dead member until the session time-out, and its partitions are blocked. Only closing the client waits for the answer
//! (`rd_kafka_cgrp_try_terminate`), and how librdkafka 2.12 gets there depends on the assignment:
//!
//! * With partitions the client is closed at once. Closing revokes them, sends `LeaveGroup` when the last one is unassigned, and
//!   waits. A client that is unsubscribed first must not be closed before it has sent the request: while the last partition is
//!   being unassigned (`rd_kafka_cgrp_incr_unassign_done`), a close skips the request. This left a dead member behind after 3 of
//!   36 stops.
//! * Without partitions closing sends nothing (`rd_kafka_cgrp_revoke_all_rejoin`), but unsubscribing does, at once or when the
//!   rebalance under way is over.
//! * With the protocol `consumer` (KIP-848) closing sends the last heartbeat and waits for its answer, with or without partitions
//!   (`rd_kafka_cgrp_consumer_assignment_done`).
//!
//! Closing also ends without an answer if the coordinator is not reachable, so a connection that fails meanwhile counts as
//! unanswered.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;

use super::{Client, close_in_background};

/// How long one poll waits for the end of a rebalance.
const POLL: Duration = Duration::from_millis(50);

/// How long the brokers may take to list the members of the group.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the coordinator has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    Answered,
    /// The member had no assignment yet, so it was not in the group for certain.
    NotJoined,
    /// A static member stays in the group, so that it can come back without a rebalance (KIP-345).
    Static,
    /// The reason.
    Unanswered(&'static str),
}

/// Leaves the group and closes the client, within the limit.
pub(super) fn leave(client: Arc<Client>, identity: &Identity<'_>, limit: Duration) -> Left {
    let deadline = Instant::now() + limit;
    let context = client.context().clone();
    let (was_reachable, failures) = (context.is_reachable(), context.connection_failures());
    let closes = identity.is_static || identity.is_assigned_by_broker;
    let unsubscribes = context.assigned().is_empty() && !closes && was_reachable;
    let is_out = match unsubscribes {
        true => unsubscribe(&client, identity, deadline),
        false => true,
    };
    let is_closed = close_until(client, deadline);
    if !identity.has_joined {
        return Left::NotJoined;
    }
    if identity.is_static {
        return Left::Static;
    }
    if !was_reachable || context.connection_failures() != failures {
        return Left::Unanswered("the broker is not reachable");
    }
    match is_out && is_closed {
        true => Left::Answered,
        false => Left::Unanswered("the coordinator did not answer in time"),
    }
}

/// Unsubscribes a member without partitions. Whether it is out of the group before the deadline: the group has one member less of
/// this client id.
fn unsubscribe(client: &Client, identity: &Identity<'_>, deadline: Instant) -> bool {
    let before = identity.members(client);
    client.unsubscribe();
    loop {
        if before.is_some_and(|before| identity.members(client).is_some_and(|now| now < before)) {
            return true;
        }
        if before == Some(0) || Instant::now() >= deadline {
            return before == Some(0);
        }
        // A rebalance that is under way goes on with polls. Records that still arrive are dropped: they are not committed, so
        // another member gets them.
        let _ = client.poll(POLL);
    }
}

/// By what the coordinator knows a member.
pub(super) struct Identity<'c> {
    group: &'c str,
    client_id: &'c str,
    is_static: bool,
    /// The protocol of the group is `consumer`.
    is_assigned_by_broker: bool,
    has_joined: bool,
}

impl<'c> Identity<'c> {
    pub(super) fn new(config: &'c ClientConfig, has_joined: bool) -> Self {
        Self {
            group: config.get("group.id").unwrap_or_default(),
            client_id: config.get("client.id").unwrap_or_default(),
            is_static: config.get("group.instance.id").is_some(),
            is_assigned_by_broker: config.get("group.protocol") == Some("consumer"),
            has_joined,
        }
    }
}

impl Identity<'_> {
    /// How many members of the group have this client id. `None` if the brokers do not answer.
    fn members(&self, client: &Client) -> Option<usize> {
        let groups = client
            .fetch_group_list(Some(self.group), REQUEST_TIMEOUT)
            .ok()?;
        let groups = groups
            .groups()
            .iter()
            .filter(|group| group.name() == self.group);
        let members = groups.flat_map(|group| group.members());
        Some(
            members
                .filter(|one| one.client_id() == self.client_id)
                .count(),
        )
    }
}

/// Closes the client on a thread of its own. Whether it is closed before the deadline.
fn close_until(mut client: Arc<Client>, deadline: Instant) -> bool {
    // A thread that waits for an answer may hold the client too.
    let client = loop {
        match Arc::try_unwrap(client) {
            Ok(client) => break client,
            Err(shared) if Instant::now() < deadline => {
                let _ = shared.poll(POLL);
                client = shared;
            }
            Err(shared) => {
                close_in_background(shared);
                return false;
            }
        }
    };
    let (closed, is_closed) = mpsc::sync_channel(1);
    let closing = std::thread::Builder::new().name("closing".to_owned());
    // Without a thread the client is closed on this one, and the channel is closed with it.
    let spawned = closing.spawn(move || {
        drop(client);
        // It fails if the limit is over.
        let _ = closed.send(());
    });
    let limit = deadline.saturating_duration_since(Instant::now());
    spawned.is_ok() && is_closed.recv_timeout(limit).is_ok()
}
