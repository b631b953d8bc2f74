//! `GET /transactions`: how many transactions are open, and those that hang.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use cluster_reader::Snapshot;
use cluster_reader::transactions::OpenTransaction;
use serde::Serialize;
use service_kit::Problem;
use service_kit::query_params::QueryParams;

use super::Monitor;
use crate::format::{display_name, rfc3339};
use crate::lag_state::{SEARCH_INTERVAL, readers};

/// Most hanging transactions in one answer.
const MAX_HANGING: usize = 1_000;

/// Most groups of one transaction.
const MAX_GROUPS: usize = 100;

#[derive(Serialize)]
pub(super) struct TransactionsAnswer {
    timestamp: String,
    open: usize,
    /// All that hang; `hanging` lists the first of them.
    hanging_count: usize,
    hanging: Vec<HangingAnswer>,
}

/// A transaction that hangs in a partition.
#[derive(Serialize)]
struct HangingAnswer {
    /// Null if no coordinator knows the producer.
    transactional_id: Option<String>,
    producer_id: i64,
    topic: String,
    partition: i32,
    start_offset: i64,
    /// When the producer wrote its last record to the partition.
    last_write: String,
    /// The groups that read the partition. Of a partition of `__consumer_offsets` they are not
    /// known: it has the committed offsets of one or more groups.
    groups: Vec<String>,
}

/// 503 if the last search is not current.
pub(super) async fn list(
    State(monitor): State<Monitor>,
    parameters: QueryParams,
) -> Result<Json<TransactionsAnswer>, Problem> {
    parameters.finish()?;
    let search = monitor.state.transactions(Utc::now()).map_err(|stale| {
        let last = match stale.last_success {
            Some(at) => format!("they were last listed at {}", rfc3339(at)),
            None => "they have not been listed since this process started".to_owned(),
        };
        let detail = format!("the open transactions cannot be listed now; {last}");
        Problem::unavailable(detail, SEARCH_INTERVAL)
    })?;
    monitor.read_current(|current| {
        let hanging = search.hanging.iter().take(MAX_HANGING);
        Ok(Json(TransactionsAnswer {
            timestamp: rfc3339(search.searched_at),
            open: search.open,
            hanging_count: search.hanging.len(),
            hanging: hanging
                .map(|one| HangingAnswer::of(one, current.snapshot))
                .collect(),
        }))
    })
}

impl HangingAnswer {
    fn of(one: &OpenTransaction, snapshot: &Snapshot) -> Self {
        let partitions = BTreeSet::from([one.partition.clone()]);
        let groups = readers(&partitions, Some(snapshot)).take(MAX_GROUPS);
        Self {
            transactional_id: one.transactional_id.as_deref().map(display_name),
            producer_id: one.producer_id,
            topic: display_name(&one.partition.topic),
            partition: one.partition.partition,
            start_offset: one.start_offset,
            last_write: rfc3339(one.last_write),
            groups: groups.map(display_name).collect(),
        }
    }
}
