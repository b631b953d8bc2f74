//! Maven: runs the pom and follows its progress.

use super::Progress;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Files that Maven downloads for this pom into an empty local repository. Measured; used only for
/// a progress bar.
const EXPECTED_FILES: u64 = 473;

/// Runs Maven on the pom in the folder `dist` and reports every downloaded file. Maven keeps the
/// caller's environment, which may name a proxy.
pub(super) async fn run(
    dist: &Path,
    kafka_version: &str,
    progress: &mut impl FnMut(Progress),
) -> Result<()> {
    let mut maven = Command::new("mvn");
    // Relative paths: Maven would replace `${…}` in the name of an absolute folder.
    maven
        .args(["--batch-mode", "--file", "pom.xml", "-Ddist=."])
        .arg(format!("-Dkafka.version={kafka_version}"))
        .arg("generate-resources")
        .current_dir(dist)
        // Java cannot open a file with an umlaut in its name in the locale C.
        .env("LC_ALL", "C.UTF-8");
    maven
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut maven = maven.spawn().context("cannot run mvn: install Maven")?;
    let (mut files, mut first_error) = (0, None);
    let about = EXPECTED_FILES;
    progress(Progress::Downloading { files, about });
    if let Some(output) = maven.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        let unreadable = "cannot read Maven's output";
        while let Some(line) = lines.next_line().await.context(unreadable)? {
            if line.contains("Downloaded from") {
                files = about.min(files + 1);
                progress(Progress::Downloading { files, about });
            } else if let Some((_, error)) = line.split_once("[ERROR] ") {
                first_error.get_or_insert_with(|| error.trim().to_owned());
            }
        }
    }
    let status = maven.wait().await.context("cannot wait for Maven")?;
    if !status.success() {
        let reason = first_error.unwrap_or_else(|| "it gave no reason".to_owned());
        bail!("Maven could not download Kafka and PostgreSQL: {reason}");
    }
    Ok(())
}
