//! Removes the containers of a test process when the process has ended.

use anyhow::{Context, Result, ensure};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, OnceLock, PoisonError};

/// The label of every container that tests create.
pub(crate) const LABEL: &str = "saga-sandbox.test";

/// The label's value: the process id, and a random number because process ids are reused.
static LABEL_VALUE: LazyLock<String> =
    LazyLock::new(|| format!("{}-{:016x}", std::process::id(), fastrand::u64(..)));

/// Never dropped, so it closes when the process ends. The cleanup waits for that.
static PIPE: OnceLock<ChildStdin> = OnceLock::new();

/// The label's value for containers of this process. The first call starts the cleanup in the
/// background.
pub(crate) fn label_value() -> Result<String> {
    static STARTING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _lock = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if PIPE.get().is_none() {
        docker(&["version"])?;
        let mut cleanup = Command::new("setsid")
            .args([
                "sh",
                "-c",
                include_str!("container_cleanup.sh"),
                "cleanup",
                LABEL_VALUE.as_str(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run setsid and sh")?;
        let pipe = cleanup.stdin.take().context("no pipe to the cleanup")?;
        // The shell itself ends at once and leaves a background process.
        cleanup
            .wait()
            .context("cannot wait for the start of the cleanup")?;
        PIPE.get_or_init(|| pipe);
    }
    Ok(LABEL_VALUE.clone())
}

/// Runs the `docker` command.
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
