//! Searches the cluster for open transactions: a task of its own, so that a slow answer never delays
//! a poll.

use std::time::Duration;

use chrono::Utc;
use cluster_reader::ReadError;
use cluster_reader::transactions::{OpenTransaction, Transactions};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::lag_state::{LagState, SEARCH_INTERVAL};
use crate::poll::error_chain;

/// Limit for one call to a broker, connecting included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Limit for one search, which calls each broker about five times.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Searches at once and then in every interval, and records the results in `state`, until
/// `shutdown`. An outage is logged once, and so is its end.
pub async fn run(mut transactions: Transactions, state: LagState, shutdown: CancellationToken) {
    let mut ticks = interval(SEARCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let searches = async {
        let mut is_failing = false;
        loop {
            ticks.tick().await;
            let found = search(&mut transactions).await;
            match (&found, is_failing) {
                (Err(error), false) => {
                    tracing::warn!(error, "open transactions cannot be listed, will retry");
                }
                (Ok(_), true) => tracing::info!("open transactions can be listed again"),
                (Err(_), true) | (Ok(_), false) => {}
            }
            is_failing = found.is_err();
            match found {
                Ok(open) => state.record_transactions(Utc::now(), open),
                Err(_) => state.record_transactions_failure(Utc::now()),
            }
        }
    };
    shutdown.run_until_cancelled(searches).await;
}

/// The open transactions, or why they cannot be listed.
async fn search(transactions: &mut Transactions) -> Result<Vec<OpenTransaction>, String> {
    let too_long = |_| format!("no result within {SEARCH_TIMEOUT:?}");
    let found: Result<_, ReadError> = timeout(SEARCH_TIMEOUT, transactions.list())
        .await
        .map_err(too_long)?;
    found.map_err(|error| error_chain(&error))
}
