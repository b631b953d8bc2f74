//! Kafka's own command-line tools, to compare with.

use crate::backing::Choice;
use crate::images;
use crate::local::sources;
use anyhow::{Context, Result, ensure};
use local_runtime::kafka_tools;
use std::ffi::OsString;
use std::process::{Command, Stdio};

/// Runs one of Kafka's own tools against a broker and returns what it prints: `kafka_tool(address, "consumer-groups",
/// &["--describe", "--all-groups"])`. It takes some seconds.
///
/// # Panics
/// When there is no such tool, or it fails.
pub async fn kafka_tool(bootstrap: &str, tool: &str, arguments: &[&str]) -> String {
    match run(bootstrap, tool, arguments).await {
        Ok(printed) => printed,
        Err(error) => panic!("Kafka's tool {tool}: {error:#}"),
    }
}

async fn run(bootstrap: &str, tool: &str, arguments: &[&str]) -> Result<String> {
    let mut command = match Choice::made() {
        Choice::Local => {
            let installation = sources().fetch(false, |_| {}).await?;
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            kafka_tools::command(&installation, bootstrap, tool, &arguments)?
        }
        Choice::Docker => {
            let mut docker = Command::new("docker");
            let script = format!("/opt/kafka/bin/kafka-{tool}.sh");
            docker.args(["run", "--rm", "--network", "host", "--entrypoint", &script]);
            docker.args([&images::KAFKA.join(":"), "--bootstrap-server", bootstrap]);
            docker.args(arguments);
            docker
        }
    };
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.context("cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // `consumer-groups` ends with 0 whatever happened.
    let failed = printed.lines().find(|line| line.starts_with("Error:"));
    ensure!(failed.is_none(), "{}", failed.unwrap_or_default());
    Ok(printed)
}
