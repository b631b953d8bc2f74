//! What has to be on this machine before anything can start: the services' binaries, Kafka and PostgreSQL.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use local_runtime::download::Progress;
use tokio::process::Command;

use crate::interrupt::Hold;
use crate::sandbox::Sandbox;
use crate::terminal::note;

/// Builds the services, with cargo's own progress shown; a moment when nothing changed.
pub async fn build(sandbox: &Sandbox, offline: bool, hold: &Hold) -> Result<()> {
    let mut cargo = Command::new("cargo");
    // All of the workspace at once: cargo chooses the features of shared dependencies for what is built together, and would
    // build them anew for another choice.
    cargo.args(["build", "--release", "--workspace", "--bins"]);
    cargo
        .arg("--manifest-path")
        .arg(sandbox.checkout().join("Cargo.toml"));
    if let Some(target) = sandbox
        .binaries()
        .parent()
        .filter(|_| sandbox.binaries().ends_with("release"))
    {
        cargo.arg("--target-dir").arg(target);
    }
    if offline {
        cargo.arg("--offline");
    }
    // Its progress goes to standard error by itself; nothing of it belongs into the output of a script.
    cargo
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let mut cargo = cargo
        .spawn()
        .context("cannot run cargo: install Rust from https://rustup.rs")?;
    let status = hold
        .or(async { cargo.wait().await.context("cannot wait for cargo") })
        .await?;
    if !status.success() {
        bail!("the services could not be built: see what cargo says above");
    }
    Ok(())
}

/// Brings Kafka and PostgreSQL, once.
pub async fn fetch(sandbox: &Sandbox, offline: bool, hold: &Hold) -> Result<()> {
    let bar = ProgressBar::no_length();
    let mut told = false;
    let sources = sandbox.sources();
    let fetched = hold.or(sources.fetch(offline, |progress| {
        if !told {
            note(format_args!(
                "bringing Kafka and PostgreSQL to {}, once",
                shown(&sources.dist, sandbox)
            ));
            told = true;
        }
        show(&bar, progress);
    }));
    let fetched = fetched.await;
    bar.finish_and_clear();
    fetched.map(drop)
}

fn show(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Downloading { files, about } => {
            // A constant template: should it ever be wrong, the default bar is good enough.
            if let Ok(style) =
                ProgressStyle::with_template("{wide_bar} {pos}/{len} files, {elapsed}")
            {
                bar.set_style(style);
            }
            bar.set_length(about);
            bar.set_position(files);
        }
        Progress::Unpacking => bar.set_message("unpacking PostgreSQL"),
    }
}

fn shown(path: &Path, sandbox: &Sandbox) -> String {
    path.strip_prefix(sandbox.checkout())
        .unwrap_or(path)
        .display()
        .to_string()
}
