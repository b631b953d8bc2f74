//! Asks every instance for its statistics, once in every interval.

use std::time::Duration;

use chrono::Utc;
use futures::future::join_all;
use reqwest::{Client, Response, Url};
use shared_events::member_api::MemberStats;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::instances::{InstanceAddress, InstanceReport, InstanceSource, NoAnswer};
use crate::lag_state::LagState;

/// Limit for one answer, connecting included. A frozen process accepts the connection and never
/// answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Most bytes of an answer. A member with a thousand partitions answers with about 20 KB.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Asks every instance at once and then in every interval, and records the answers in `state`,
/// until `shutdown`. All instances are asked at the same time.
pub async fn run(
    source: InstanceSource,
    client: Client,
    state: LagState,
    poll_interval: Duration,
    shutdown: CancellationToken,
) {
    if source == InstanceSource::None {
        return;
    }
    let mut ticks = interval(poll_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let polls = async {
        let mut list_error = None;
        loop {
            ticks.tick().await;
            let (reports, error) = poll_once(&source, &client).await;
            log_change(
                &mut list_error,
                error.as_ref().map(|error| format!("{error:#}")),
            );
            state.record_reports(reports);
        }
    };
    shutdown.run_until_cancelled(polls).await;
}

/// The reports of all instances, or the reason why no instance is known.
async fn poll_once(
    source: &InstanceSource,
    client: &Client,
) -> (Vec<InstanceReport>, Option<anyhow::Error>) {
    match source.list().await {
        Ok(list) => (
            join_all(list.into_iter().map(|one| ask(client, one))).await,
            None,
        ),
        Err(error) => (Vec::new(), Some(error)),
    }
}

/// An error is logged once, and so is its end.
fn log_change(before: &mut Option<String>, now: Option<String>) {
    match &now {
        _ if *before == now => {}
        Some(error) => {
            tracing::warn!(
                error,
                "the list of instances cannot be read, so no instance is asked"
            );
        }
        None => tracing::info!("the list of instances can be read again"),
    }
    *before = now;
}

async fn ask(client: &Client, instance: InstanceAddress) -> InstanceReport {
    let asked_at = Utc::now();
    let stats = stats(client, &instance.url).await;
    InstanceReport {
        instance: instance.name,
        asked_at,
        stats: stats.map_err(|reason| NoAnswer {
            reason,
            since: asked_at,
        }),
    }
}

/// The statistics, or in a few words why there are none.
async fn stats(client: &Client, base: &Url) -> Result<MemberStats, String> {
    let url = base.join("stats").map_err(|error| error.to_string())?;
    let request = client.get(url).timeout(ANSWER_TIMEOUT);
    let response = request.send().await.map_err(|error| no_answer(&error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("answers GET /stats with {status}"));
    }
    let body = body(response).await?;
    let is_unknown = |_| "answers GET /stats in an unknown form".to_owned();
    serde_json::from_slice(&body).map_err(is_unknown)
}

async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(format!(
                "answers GET /stats with over {MAX_ANSWER_BYTES} bytes"
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn no_answer(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("did not answer within {ANSWER_TIMEOUT:?}")
    } else if error.is_connect() {
        "cannot connect".to_owned()
    } else {
        "the connection broke".to_owned()
    }
}
