//! Kafka's own command-line tools, to compare results with.

use crate::backend::StackMode;
use crate::images;
use crate::local::sources;
use anyhow::{Context, Result, ensure};
use local_runtime::kafka_tools;
use std::ffi::OsString;
use std::process::{Command, Stdio};

/// Runs one of Kafka's own tools against a broker and returns its output: `kafka_tool(address,
/// "consumer-groups", &["--describe", "--all-groups"])`. Starting a JVM takes some seconds.
///
/// # Panics
/// When there is no such tool, or the tool fails.
pub async fn kafka_tool(bootstrap: &str, tool: &str, arguments: &[&str]) -> String {
    match run(bootstrap, tool, arguments).await {
        Ok(printed) => printed,
        Err(error) => panic!("Kafka's tool {tool}: {error:#}"),
    }
}

async fn run(bootstrap: &str, tool: &str, arguments: &[&str]) -> Result<String> {
    let mut command = match StackMode::from_environment() {
        StackMode::Local => {
            let installation = sources().fetch(false, |_| {}).await?;
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            kafka_tools::command(&installation, bootstrap, tool, &arguments)?
        }
        StackMode::Docker => {
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
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", errors.trim());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // `consumer-groups` ends with code 0 also after an error.
    let failed = printed.lines().find(|line| line.starts_with("Error:"));
    ensure!(failed.is_none(), "{}", failed.unwrap_or_default());
    Ok(printed)
}
