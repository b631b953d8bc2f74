//! Probes `/health/ready` of a service or tool.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// The time limit of one probe. A paused process accepts the connection and never answers.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The service works.
    Ready,
    /// The service works without an optional dependency: which one, and why.
    Degraded(String),
    /// The service cannot work: what is missing, and why.
    NotReady(String),
    /// There is no answer, and why.
    NoAnswer(String),
}

impl ProbeResult {
    /// Whether the service works.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready | Self::Degraded(_))
    }

    /// One word for scripts: `ready`, `degraded`, `not_ready` or `silent`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded(_) => "degraded",
            Self::NotReady(_) => "not_ready",
            Self::NoAnswer(_) => "silent",
        }
    }

    /// The reason; `None` if the service is ready.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ready => None,
            Self::Degraded(reason) | Self::NotReady(reason) | Self::NoAnswer(reason) => {
                Some(reason)
            }
        }
    }
}

impl fmt::Display for ProbeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Degraded(reason) => write!(f, "degraded ({reason})"),
            Self::NotReady(reason) => write!(f, "not ready ({reason})"),
            Self::NoAnswer(reason) => write!(f, "silent ({reason})"),
        }
    }
}

#[derive(Deserialize)]
struct Report {
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    status: String,
    reason: Option<String>,
}

/// Probes the service at this address. A failed request is a result, too.
pub async fn probe(http: &reqwest::Client, url: &str) -> ProbeResult {
    let sent = http
        .get(format!("{url}/health/ready"))
        .timeout(TIMEOUT)
        .send()
        .await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => return ProbeResult::NoAnswer(why_no_answer(&error)),
    };
    let code = response.status();
    match response.json::<Report>().await {
        Ok(report) => result_of(&report, code.is_success()),
        Err(_) => ProbeResult::NoAnswer(format!("answers {code} without a readiness report")),
    }
}

fn result_of(report: &Report, success: bool) -> ProbeResult {
    let with_status = |status: &str| -> Vec<String> {
        let these = report.components.iter().filter(|one| one.status == status);
        these
            .map(|one| match &one.reason {
                Some(reason) => format!("{}: {reason}", one.name),
                None => one.name.clone(),
            })
            .collect()
    };
    let (down, degraded) = (with_status("down"), with_status("degraded"));
    match success {
        false => ProbeResult::NotReady(down.join("; ")),
        true if degraded.is_empty() => ProbeResult::Ready,
        true => ProbeResult::Degraded(degraded.join("; ")),
    }
}

fn why_no_answer(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("accepts connections, but did not answer within {TIMEOUT:?}")
    } else if error.is_connect() {
        "cannot connect".to_owned()
    } else {
        "the connection broke".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(components: serde_json::Value) -> Report {
        serde_json::from_value(serde_json::json!({ "components": components })).unwrap()
    }

    #[test]
    fn a_probe_result_names_what_is_missing_and_why() {
        let missing = report(serde_json::json!([
            {"name": "database", "status": "down", "reason": "connection refused"},
            {"name": "consumer", "status": "down"},
            {"name": "relay", "status": "ready"},
        ]));
        let result = result_of(&missing, false);
        assert_eq!(
            result,
            ProbeResult::NotReady("database: connection refused; consumer".to_owned())
        );
        assert!(!result.is_ready());

        let degraded =
            report(serde_json::json!([{"name": "kafka", "status": "degraded", "reason": "away"}]));
        assert_eq!(
            result_of(&degraded, true).to_string(),
            "degraded (kafka: away)"
        );
        assert_eq!(
            result_of(&report(serde_json::json!([])), true),
            ProbeResult::Ready
        );
    }
}
