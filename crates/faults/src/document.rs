//! `docs/faults.md`, made of the catalogue.

use crate::{ALL, Fault, Modes};

const HEAD: &str = "\
# Faults by name

`./sandbox break` lists the faults, `./sandbox break NAME` causes one, `./sandbox repair [NAME]` undoes one or all. A fault is recorded in
`SANDBOX_HOME` before it is caused, so `repair` undoes it after a Ctrl-C, a killed terminal or a restart of the shop, too. `./sandbox status`
shows what is broken. This page is made of the catalogue in `crates/faults/`: `./sandbox break --document` prints it.
";

/// The text of `docs/faults.md`.
pub fn faults_md() -> String {
    let mut text = HEAD.to_owned();
    text += "\n| fault | what is broken | scenario |\n|---|---|---|\n";
    for fault in ALL {
        let Fault {
            name,
            summary,
            scenario,
            ..
        } = fault;
        text += &format!(
            "| [{name}](#{name}) | {summary} | [{scenario}](../scenarios/{scenario}/README.md) |\n"
        );
    }
    for fault in ALL {
        text += &section(fault);
    }
    text
}

fn section(fault: &Fault) -> String {
    let Fault {
        name,
        mechanism,
        customer,
        shows,
        repair,
        ..
    } = fault;
    let (dashboard, panel) = shows.panel;
    let mut text = format!("\n## {name}\n\n{mechanism}\n\n");
    text += &format!("* Customers: {customer}\n");
    text += &format!("* Panel: dashboard *{dashboard}*, \"{panel}\"\n");
    text += &format!("* Command: `./sandbox {}`\n", shows.command);
    if let Some((line, process)) = shows.log {
        text += &format!("* Log of {process}: `{line}`\n");
    }
    text += &format!("* Repair: {repair}\n");
    if let Some(remains) = fault.remains {
        text += &format!("* What `repair` cannot bring back: {remains}\n");
    }
    text += &format!("* Is it there now? `./sandbox {}`\n", fault.check_command());
    if let Modes::LocalOnly(reason) = fault.modes {
        text += &format!("* Local mode only: {reason}.\n");
    }
    text += "* `break` runs:";
    text += &commands(fault.cause);
    text += "\n* `repair` runs:";
    text += &commands(fault.undo);
    text.push('\n');
    text
}

fn commands(commands: &[&str]) -> String {
    if commands.is_empty() {
        return " nothing".to_owned();
    }
    let shown: Vec<_> = commands
        .iter()
        .map(|command| format!(" `./sandbox {}`", command.trim_start_matches('-')))
        .collect();
    shown.join(",")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn repository() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    #[test]
    fn the_document_is_made_of_the_catalogue() {
        let file = repository().join("docs/faults.md");
        let written = fs::read_to_string(file).unwrap();
        assert_eq!(
            written,
            faults_md(),
            "./sandbox break --document > docs/faults.md"
        );
    }

    #[test]
    fn every_fault_has_all_its_texts_and_a_name_of_its_own() {
        let names: BTreeSet<&str> = ALL.iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), ALL.len());
        for fault in ALL {
            let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(fault.name.bytes().all(is_name), "{}", fault.name);
            let texts = [fault.mechanism, fault.customer, fault.repair];
            for text in texts.iter().chain(&fault.remains) {
                assert!(text.ends_with('.'), "{}: {text}", fault.name);
            }
            assert!(!fault.summary.ends_with('.'), "{}", fault.name);
            let undone = !fault.undo.is_empty() || fault.remains.is_some();
            assert!(undone && !fault.cause.is_empty(), "{}", fault.name);
        }
    }

    #[test]
    fn a_process_in_the_background_is_started_and_stopped() {
        for fault in ALL {
            let start = format!("fault start {}", fault.name);
            let stop = format!("fault stop {}", fault.name);
            let held = fault.hold.is_some();
            assert_eq!(
                fault.cause.contains(&start.as_str()),
                held,
                "{}",
                fault.name
            );
            assert_eq!(fault.undo.contains(&stop.as_str()), held, "{}", fault.name);
        }
    }

    #[test]
    fn every_panel_scenario_and_log_line_that_is_named_exists() {
        let dashboards = folder_text("grafana/dashboards");
        let code: String = ["crates/kafka-runtime/src", "order-service/src"]
            .map(folder_text)
            .concat();
        for fault in ALL {
            let (dashboard, panel) = fault.shows.panel;
            for title in [dashboard, panel] {
                let title = serde_json::to_string(title).unwrap();
                let named = format!("\"title\": {title}");
                assert!(dashboards.contains(&named), "{}: {named}", fault.name);
            }
            let readme = format!("scenarios/{}/README.md", fault.scenario);
            assert!(repository().join(readme).is_file(), "{}", fault.name);
            if let Some((line, _)) = fault.shows.log {
                assert!(code.contains(line), "{}: {line}", fault.name);
            }
        }
    }

    /// The text of all files below a folder.
    fn folder_text(folder: &str) -> String {
        let mut text = String::new();
        let mut folders = vec![repository().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => text += &fs::read_to_string(path).unwrap(),
                }
            }
        }
        text
    }
}
