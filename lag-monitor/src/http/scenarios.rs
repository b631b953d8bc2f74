//! `GET /scenarios/{name}`: the README of a scenario, so that links of the page work without the
//! repository.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use service_kit::Problem;

use super::page::static_file;

macro_rules! scenarios {
    ($($name:literal),* $(,)?) => {
        /// Name and README of every scenario.
        const SCENARIOS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../scenarios/", $name, "/README.md")))),*
        ];
    };
}

scenarios![
    "autoscaling",
    "backpressure",
    "broker-failure",
    "broker-outage",
    "connectivity",
    "consumer-lag",
    "crash-mid-saga",
    "database-outage",
    "dead-letter",
    "duplicates",
    "exactly-once",
    "hanging-transaction",
    "happy-path",
    "hot-partition",
    "inventory-failure",
    "ordering",
    "outbox",
    "partitions-and-consumers",
    "payment-failure",
    "rebalance-storm",
    "retention-loss",
    "retries",
    "silent-stall",
    "startup-race",
    "wrong-group",
    "zombie",
];

/// Plain text: the Markdown is not rendered.
pub(super) async fn show(path: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let find = |name: &str| SCENARIOS.iter().find(|(known, _)| *known == name);
    let found = path.ok().and_then(|Path(name)| find(&name));
    let (_, readme) = found.ok_or_else(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        Problem::not_found(format!("no such scenario; there are: {}", names.join(", ")))
    })?;
    Ok(static_file("text/plain; charset=utf-8", readme))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn exactly_the_scenarios_of_the_repository_are_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let folders = entries.filter(|entry| entry.path().join("README.md").is_file());
        let existing: BTreeSet<String> = folders
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        let served = SCENARIOS.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(served.collect::<BTreeSet<_>>(), existing);
    }
}
