//! Sees to it that no container outlives the test process.

use anyhow::{Context, Result, ensure};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, OnceLock, PoisonError};

/// The label of every container that tests make.
pub(crate) const LABEL: &str = "saga-sandbox.test";

/// Its value: the process, and something that another process of the same number does not have.
static RUN: LazyLock<String> =
    LazyLock::new(|| format!("{}-{:016x}", std::process::id(), fastrand::u64(..)));

/// Never dropped: its end is the end of the process.
static PIPE: OnceLock<ChildStdin> = OnceLock::new();

/// The value of the label for containers of this process. From now on something watches this process, and removes them when it
/// has ended.
pub(crate) fn label() -> Result<String> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if PIPE.get().is_none() {
        docker(&["version"])?;
        let mut sweeper = Command::new("setsid")
            .args(["sh", "-c", include_str!("sweep.sh"), "sweep", RUN.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run setsid and sh")?;
        let pipe = sweeper.stdin.take().context("no pipe to the sweeper")?;
        // The child itself ends at once, see there.
        sweeper.wait().context("cannot wait for the sweeper")?;
        PIPE.get_or_init(|| pipe);
    }
    Ok(RUN.clone())
}

/// Runs Docker's own command.
pub(crate) fn docker(arguments: &[&str]) -> Result<()> {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("cannot run docker, which SANDBOX_TEST_STACK=docker needs")?;
    ensure!(
        output.status.success(),
        "docker {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
