//! `GET /scenarios/{name}`: a scenario's README, for who has the page open and not the repository.

use axum::extract::Path;
use axum::response::Response;
use service_kit::Problem;

use super::page::told;

macro_rules! scenarios {
    ($($name:literal),* $(,)?) => {
        /// Name and README of every scenario.
        const SCENARIOS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../scenarios/", $name, "/README.md")))),*
        ];
    };
}

scenarios![
    "backpressure",
    "connectivity",
    "consumer-lag",
    "dead-letter",
    "happy-path",
    "hot-partition",
    "inventory-failure",
    "partitions-and-consumers",
    "payment-failure",
    "silent-stall",
    "startup-race",
    "wrong-group",
];

/// As plain text: no program here makes HTML of it.
pub(super) async fn show(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = SCENARIOS.iter().find(|(known, _)| *known == name);
    let (_, readme) = found.ok_or_else(|| {
        let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        Problem::not_found(format!("no such scenario; there are: {}", names.join(", ")))
    })?;
    Ok(told("text/plain; charset=utf-8", readme))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_scenario_of_the_repository_is_told_and_no_other() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let folders = entries.filter(|entry| entry.path().join("README.md").is_file());
        let there: BTreeSet<String> = folders
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        let told = SCENARIOS.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(told.collect::<BTreeSet<_>>(), there);
    }
}
