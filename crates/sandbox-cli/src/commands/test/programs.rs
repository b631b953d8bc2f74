//! The test programs of the workspace, as cargo builds them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use stack::interrupt::InterruptGuard;
use stack::layout::StackLayout;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Programs that take longest, as last measured: they start first, so that none of them runs alone at the end. A program that is
/// missing here only starts later.
const LONGEST_FIRST: [&str; 5] = [
    "e2e cli",
    "e2e e2e",
    "kafka-runtime it",
    "lag-monitor page",
    "cluster-reader reader",
];

/// One program that runs tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The folder of its crate, and its name: `order-service it`, `order-service unit tests`.
    pub name: String,
    /// The program.
    pub path: PathBuf,
    /// The folder of its crate, in which the tests expect to run.
    pub crate_folder: PathBuf,
}

/// Every test program, the one that takes longest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// Tests of a whole crate or of several: they wait for brokers and databases most of the time.
    pub integration: Vec<Program>,
    /// Tests beside the code: they need the processor all the time.
    pub unit: Vec<Program>,
}

/// Builds the test programs, with cargo's own progress on standard error.
///
/// # Errors
/// When one of them does not compile.
pub async fn build(layout: &StackLayout, guard: &InterruptGuard) -> Result<Programs> {
    let mut cargo = cargo(layout);
    cargo.args(["--no-run", "--message-format=json-render-diagnostics"]);
    cargo.stdout(Stdio::piped()).kill_on_drop(true);
    let mut cargo = cargo
        .spawn()
        .context("cannot run cargo: install Rust from https://rustup.rs")?;
    guard
        .unless_interrupted(async {
            let mut programs = Programs::default();
            let output = cargo.stdout.take().context("cargo has no output")?;
            let mut lines = BufReader::new(output).lines();
            while let Some(line) = lines
                .next_line()
                .await
                .context("cannot read cargo's output")?
            {
                programs.add(&line);
            }
            let status = cargo.wait().await.context("cannot wait for cargo")?;
            if !status.success() {
                bail!("the tests could not be built: see what cargo says above");
            }
            programs.sort();
            Ok(programs)
        })
        .await
}

/// `cargo test` for the whole workspace: with another selection cargo would select other features and build more than once.
pub fn cargo(layout: &StackLayout) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--release", "--workspace", "--manifest-path"]);
    cargo.arg(layout.checkout().join("Cargo.toml"));
    cargo.stdin(Stdio::null());
    cargo
}

/// What cargo says of each thing that it built or found built.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

impl Programs {
    /// Adds the program that a line of cargo's output describes. Lines about anything else are skipped.
    fn add(&mut self, line: &str) {
        let Ok(Artifact {
            manifest_path,
            target,
            profile: Profile { test: true },
            executable: Some(path),
        }) = serde_json::from_str(line)
        else {
            return;
        };
        let crate_folder = manifest_path.parent().unwrap_or(Path::new("."));
        let package = crate_folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let is_integration = target.kind.iter().any(|kind| kind == "test");
        let (list, name) = if is_integration {
            (&mut self.integration, format!("{package} {}", target.name))
        } else {
            (&mut self.unit, format!("{package} unit tests"))
        };
        list.push(Program {
            name,
            path,
            crate_folder: crate_folder.to_owned(),
        });
    }

    fn sort(&mut self) {
        let rank = |program: &Program| {
            LONGEST_FIRST
                .iter()
                .position(|name| program.name == *name)
                .unwrap_or(LONGEST_FIRST.len())
        };
        self.integration
            .sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)));
        self.unit.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(package: &str, kind: &str, name: &str, test: bool) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/x/{package}/Cargo.toml","target":{{"kind":["{kind}"],"name":"{name}"}},"profile":{{"test":{test}}},"executable":"/t/{name}-1"}}"#
        )
    }

    #[test]
    fn test_programs_are_found_in_cargos_output_and_nothing_else_is() {
        let mut programs = Programs::default();
        for line in [
            artifact("a", "lib", "a", true),
            artifact("a", "test", "it", true),
            artifact("e2e", "test", "cli", true),
            artifact("a", "bin", "a", false),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            "not JSON".to_owned(),
        ] {
            programs.add(&line);
        }
        programs.sort();
        let names = |list: &[Program]| list.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&programs.integration), ["e2e cli", "a it"]);
        assert_eq!(names(&programs.unit), ["a unit tests"]);
    }
}
