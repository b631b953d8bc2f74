//! Rows for tests.

use super::lag_rows::{GroupLagView, PartitionLagView};

pub fn partition() -> PartitionLagView {
    PartitionLagView {
        topic: "payments".to_owned(),
        partition: 0,
        lag: Some(3),
        lag_at_least: Some(3),
        lag_at_most: Some(3),
        reason: None,
        committed_offset: Some(1),
        stable_offset: Some(6),
        end_offset: Some(6),
        control_records: Some(2),
        aborted_records: Some(0),
        beyond_stable: Some(0),
        compacted: Some(0),
        lost: Some(0),
        lost_at_least: Some(0),
        lost_at_most: Some(0),
        oldest_unread_seconds: Some(61.2),
        owner: None,
        rates: None,
        time_to_drain_seconds: None,
    }
}

pub fn view() -> GroupLagView {
    GroupLagView {
        group: "g".to_owned(),
        state: "Stable".to_owned(),
        members: 1,
        status: "ok".to_owned(),
        rule: "keeps_up".to_owned(),
        evidence: "3 records wait".to_owned(),
        total_lag: Some(6),
        total_lag_at_least: Some(6),
        total_lag_at_most: Some(6),
        not_known: 0,
        oldest_unread_seconds: Some(61.2),
        rates: None,
        time_to_drain_seconds: None,
        partitions: vec![partition()],
    }
}
