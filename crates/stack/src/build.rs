//! What must be on this machine before anything can start: the services' binaries, Kafka and PostgreSQL.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use local_runtime::download::Progress;
use tokio::process::Command;

use crate::interrupt::InterruptGuard;
use crate::layout::StackLayout;
use crate::terminal::note;

/// Builds the services and shows cargo's progress. Takes about a second when nothing changed.
pub async fn build(layout: &StackLayout, offline: bool, guard: &InterruptGuard) -> Result<()> {
    let mut cargo = Command::new("cargo");
    // The whole workspace at once: cargo unifies the features of shared dependencies over the packages of one build, and
    // rebuilds these dependencies for another selection.
    cargo.args(["build", "--release", "--workspace", "--bins"]);
    cargo
        .arg("--manifest-path")
        .arg(layout.checkout().join("Cargo.toml"));
    if let Some(target) = layout
        .binaries()
        .parent()
        .filter(|_| layout.binaries().ends_with("release"))
    {
        cargo.arg("--target-dir").arg(target);
    }
    if offline {
        cargo.arg("--offline");
    }
    // cargo's progress goes to standard error. Standard output belongs to the command, which a script may read.
    cargo
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let mut cargo = cargo
        .spawn()
        .context("cannot run cargo: install Rust from https://rustup.rs")?;
    let status = guard
        .unless_interrupted(async { cargo.wait().await.context("cannot wait for cargo") })
        .await?;
    if !status.success() {
        bail!("the services could not be built: see what cargo says above");
    }
    Ok(())
}

/// Downloads Kafka and PostgreSQL, unless they are installed already.
pub async fn fetch(layout: &StackLayout, offline: bool, guard: &InterruptGuard) -> Result<()> {
    let bar = ProgressBar::no_length();
    let mut noted = false;
    let sources = layout.sources();
    let fetched = guard.unless_interrupted(sources.fetch(offline, |progress| {
        if !noted {
            note(format_args!(
                "downloading Kafka and PostgreSQL to {}, once",
                display_path(&sources.dist, layout)
            ));
            noted = true;
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

fn display_path(path: &Path, layout: &StackLayout) -> String {
    path.strip_prefix(layout.checkout())
        .unwrap_or(path)
        .display()
        .to_string()
}
