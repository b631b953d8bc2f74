//! Every fault, in the order of the list: one file for each.

mod bad_release;
mod broker_disk_full;
mod broker_frozen;
mod broker_killed;
mod connections_used_up;
mod crash_loop;
mod crash_once;
mod database_frozen;
mod gateway_away;
mod gateway_failing;
mod gateway_slow;
mod hot_key;
mod member_frozen;
mod offsets_to_end;
mod open_transaction;
mod outbox_blocked;
mod partitions_added;
mod paused_consumer;
mod poison_product;
mod poll_interval_exceeded;
mod rebalance_storm;
mod short_retention;
mod slow_consumer;
mod stock_locked;
mod topic_recreated;
mod two_processes_one_slot;
mod wrong_bootstrap;

use crate::Fault;

/// Every fault: those of consumers, of processes, of the broker, of the database, of topics and
/// groups.
pub const ALL: &[Fault] = &[
    slow_consumer::FAULT,
    paused_consumer::FAULT,
    poison_product::FAULT,
    bad_release::FAULT,
    hot_key::FAULT,
    crash_once::FAULT,
    crash_loop::FAULT,
    member_frozen::FAULT,
    two_processes_one_slot::FAULT,
    broker_frozen::FAULT,
    broker_killed::FAULT,
    broker_disk_full::FAULT,
    database_frozen::FAULT,
    stock_locked::FAULT,
    connections_used_up::FAULT,
    wrong_bootstrap::FAULT,
    outbox_blocked::FAULT,
    offsets_to_end::FAULT,
    short_retention::FAULT,
    topic_recreated::FAULT,
    partitions_added::FAULT,
    poll_interval_exceeded::FAULT,
    rebalance_storm::FAULT,
    open_transaction::FAULT,
    gateway_failing::FAULT,
    gateway_slow::FAULT,
    gateway_away::FAULT,
];

/// The fault of this name.
pub fn find(name: &str) -> Option<&'static Fault> {
    ALL.iter().find(|fault| fault.name == name)
}
