//! What lag-monitor says about the groups that `lag` shows.

use std::time::Duration;

use anyhow::{Result, anyhow};
use chrono::{DateTime, Utc};
use stack::lag_view::lag_rows::GroupLagView;
use stack::shop_client::ShopClient;
use stack::shop_client::monitored_groups::MonitorReading;
use tokio::time::timeout;

/// How long lag-monitor may take to answer.
const MONITOR_TIMEOUT: Duration = Duration::from_secs(2);

/// What lag-monitor has said, or why it has said nothing.
pub(super) type MonitorAnswer = Result<MonitorState, String>;

/// The reading of lag-monitor that was used.
pub(super) struct MonitorState {
    pub(super) taken_at: DateTime<Utc>,
    /// The groups that it does not have.
    unknown: Vec<String>,
}

/// Sets the health of each group, on this topic or on all of them, to what lag-monitor says, and the rates if they are wanted.
pub(super) async fn ask_monitor(
    shop: &ShopClient<'_>,
    topic: Option<&str>,
    views: &mut [GroupLagView],
    with_rates: bool,
) -> MonitorAnswer {
    let answer = timeout(MONITOR_TIMEOUT, read_monitor(shop, topic, views));
    let silent = |_| anyhow!("it has not answered within {MONITOR_TIMEOUT:?}");
    let answer = answer.await.map_err(silent).flatten();
    let (reading, unknown) = answer.map_err(|error| format!("{error:#}"))?;
    if with_rates {
        reading.set_rates(views);
    }
    Ok(MonitorState {
        taken_at: reading.timestamp,
        unknown,
    })
}

/// Sets the health. Returns the groups that lag-monitor does not have.
async fn read_monitor(
    shop: &ShopClient<'_>,
    topic: Option<&str>,
    views: &mut [GroupLagView],
) -> Result<(MonitorReading, Vec<String>)> {
    let reading = shop.monitored_groups().await?;
    let unknown = reading.set_health(views);
    if topic.is_some() {
        for view in views
            .iter_mut()
            .filter(|view| !unknown.contains(&view.group))
        {
            let health = shop.group_status(&view.group, topic).await?;
            view.set_health(health);
        }
    }
    Ok((reading, unknown))
}

/// The last line: where the health comes from, and without `--watch` the rates.
pub(super) fn monitor_line(monitor: &MonitorAnswer, watch: bool) -> String {
    match (monitor, watch) {
        (Ok(state), _) => {
            let what = if watch { "health" } else { "rates and health" };
            let at = state.taken_at.format("%H:%M:%S UTC");
            let except = match state.unknown.is_empty() {
                true => String::new(),
                false => format!(", which does not know {}", state.unknown.join(", ")),
            };
            format!("{what} as of {at}, from lag-monitor{except}")
        }
        (Err(why), true) => format!(
            "no answer from lag-monitor ({why}): the health is judged by the readings of this command, without what the members say"
        ),
        (Err(why), false) => format!(
            "no answer from lag-monitor ({why}): there are no rates, and the health is judged by this one reading, without what the members say"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_where_the_health_comes_from() {
        let state = |unknown: &[&str]| {
            Ok(MonitorState {
                taken_at: DateTime::UNIX_EPOCH,
                unknown: unknown.iter().map(ToString::to_string).collect(),
            })
        };
        let line = monitor_line(&state(&[]), false);
        assert_eq!(
            line,
            "rates and health as of 00:00:00 UTC, from lag-monitor"
        );
        let line = monitor_line(&state(&["a", "b"]), true);
        assert_eq!(
            line,
            "health as of 00:00:00 UTC, from lag-monitor, which does not know a, b"
        );
        let line = monitor_line(&Err("it does not run".to_owned()), false);
        assert!(
            line.contains("it does not run") && line.contains("no rates"),
            "{line}"
        );
    }
}
