//! A client of Prometheus' HTTP API.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

const MISSING: &str = "prometheus is not installed (Debian: apt-get install prometheus)";

/// A program of Debian's package `prometheus`, ready to be started.
pub fn program(name: &str) -> Command {
    let there = Command::new(name).arg("--version").output();
    assert!(there.is_ok(), "{name}: {MISSING}");
    Command::new(name)
}

/// A client of one Prometheus and of other HTTP servers.
pub struct Prometheus {
    url: String,
    http: reqwest::Client,
    runtime: Runtime,
}

impl Prometheus {
    pub fn at(url: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10));
        Self {
            url: url.to_owned(),
            http: http.build().unwrap(),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// Sends a request with a JSON body. Returns the status and the text.
    pub fn call(&self, method: &str, url: &str, body: Option<&Value>) -> (u16, String) {
        let request = self.http.request(method.parse().unwrap(), url);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            (status, answer.text().await.unwrap())
        })
    }

    /// The `data` of a response of Prometheus, or its error.
    pub fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/{path}", self.url)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let (_, text) = self.call("GET", url.as_str(), None);
        let answer: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"].clone()),
            _ => Err(text),
        }
    }

    /// Whether an expression has at least one number now.
    pub fn has_data(&self, expression: &str) -> Result<(), String> {
        let data = self.ask("query", &[("query", expression)])?;
        let series = data["result"].as_array().unwrap();
        let is_number = |one: &&Value| one["value"][1].as_str() != Some("NaN");
        match series.iter().find(is_number) {
            Some(_) => Ok(()),
            None => Err(format!("{} series, no number", series.len())),
        }
    }

    /// The series of a selector, at any time.
    pub fn series(&self, selector: &str) -> Result<Vec<Value>, String> {
        let data = self.ask("series", &[("match[]", selector)])?;
        Ok(data.as_array().unwrap().clone())
    }
}
