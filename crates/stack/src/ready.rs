//! What a service says about itself at `/health/ready`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// How long one question may take. A paused process accepts the connection and never answers.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a service answered when it was asked whether it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It does its work.
    Ready,
    /// It does its work without something it would like to have: which, and why.
    Degraded(String),
    /// It cannot do its work: what is missing, and why.
    NotReady(String),
    /// It said nothing, and why nobody heard it.
    Silent(String),
}

impl Answer {
    /// Whether it does its work.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready | Self::Degraded(_))
    }

    /// One word for scripts: `ready`, `degraded`, `not_ready` or `silent`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded(_) => "degraded",
            Self::NotReady(_) => "not_ready",
            Self::Silent(_) => "silent",
        }
    }

    /// Why it is not simply ready.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ready => None,
            Self::Degraded(reason) | Self::NotReady(reason) | Self::Silent(reason) => Some(reason),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Degraded(reason) => write!(f, "degraded ({reason})"),
            Self::NotReady(reason) => write!(f, "not ready ({reason})"),
            Self::Silent(reason) => write!(f, "silent ({reason})"),
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

/// Asks the service at this address. Never fails: what goes wrong is an answer too.
pub async fn ask(http: &reqwest::Client, url: &str) -> Answer {
    let sent = http
        .get(format!("{url}/health/ready"))
        .timeout(PATIENCE)
        .send()
        .await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => return Answer::Silent(why_silent(&error)),
    };
    let code = response.status();
    match response.json::<Report>().await {
        Ok(report) => read(&report, code.is_success()),
        Err(_) => Answer::Silent(format!("answers {code} without a report on its readiness")),
    }
}

fn read(report: &Report, success: bool) -> Answer {
    let told = |status: &str| -> Vec<String> {
        let these = report.components.iter().filter(|one| one.status == status);
        these
            .map(|one| match &one.reason {
                Some(reason) => format!("{}: {reason}", one.name),
                None => one.name.clone(),
            })
            .collect()
    };
    let (down, degraded) = (told("down"), told("degraded"));
    match success {
        false => Answer::NotReady(down.join("; ")),
        true if degraded.is_empty() => Answer::Ready,
        true => Answer::Degraded(degraded.join("; ")),
    }
}

fn why_silent(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("accepts connections, but did not answer within {PATIENCE:?}")
    } else if error.is_connect() {
        "nobody listens there".to_owned()
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
    fn an_answer_names_what_is_missing_and_why() {
        let missing = report(serde_json::json!([
            {"name": "database", "status": "down", "reason": "connection refused"},
            {"name": "consumer", "status": "down"},
            {"name": "relay", "status": "ready"},
        ]));
        let answer = read(&missing, false);
        assert_eq!(
            answer,
            Answer::NotReady("database: connection refused; consumer".to_owned())
        );
        assert!(!answer.is_ready());

        let degraded =
            report(serde_json::json!([{"name": "kafka", "status": "degraded", "reason": "away"}]));
        assert_eq!(read(&degraded, true).to_string(), "degraded (kafka: away)");
        assert_eq!(read(&report(serde_json::json!([])), true), Answer::Ready);
    }
}
