//! `sandbox test`: every test of the workspace, on one broker and one database that exist for this run only.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use local_runtime::backends::Backends;
use local_runtime::state_dir::StateDir;
use local_runtime::process::Processes;
use local_runtime::process_tree::{ProcessIdentity, Signal, signal_tree};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use stack::sandbox::Sandbox;
use stack::interrupt::Hold;
use stack::build;
use stack::terminal::{note, say};

/// Which tests.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox test\n  ./sandbox test redelivery\n  SANDBOX_TEST_STACK=docker ./sandbox test outage"
)]
pub struct Test {
    /// What broker and database of the tests are: processes of this machine, or containers
    #[arg(long, env = "SANDBOX_TEST_STACK", value_enum, default_value_t = Stack::Local)]
    stack: Stack,

    /// Only tests whose name contains this
    filter: Option<String>,
}

/// What a broker and a database of tests are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Stack {
    /// One pair of processes for the whole run
    Local,
    /// Containers: each test program starts its own
    Docker,
}

/// Builds the binaries, runs the tests on a broker and a database that exist for this run only, and ends with one line that counts
/// them. Whatever it started ends with it.
pub async fn run(args: Test, sandbox: &Sandbox) -> Result<()> {
    let hold = sandbox.interrupt().hold()?;
    build::fetch(sandbox, false, &hold).await?;
    // Some tests start the services as processes of their own.
    build::build(sandbox, false, &hold).await?;

    let cargo = cargo(&args, sandbox);
    let (tests, status) = match args.stack {
        Stack::Local => on_one_stack(cargo, sandbox, &hold).await?,
        Stack::Docker => watch(cargo, &hold).await?,
    };

    // A test program that did not build or crashed has no line of its own.
    let failed = if tests.failed == 0 && !status.success() {
        1
    } else {
        tests.failed
    };
    say(format_args!("{} passed, {failed} failed", tests.passed));
    if failed > 0 {
        bail!("some tests failed: see above");
    }
    if tests.passed == 0 {
        bail!(
            "no test has that in its name: {}",
            args.filter.unwrap_or_default()
        );
    }
    Ok(())
}

fn cargo(args: &Test, sandbox: &Sandbox) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--release", "--workspace", "--no-fail-fast"]);
    cargo
        .arg("--manifest-path")
        .arg(sandbox.checkout().join("Cargo.toml"));
    cargo.args(args.filter.iter());
    let stack = match args.stack {
        Stack::Local => "local",
        Stack::Docker => "docker",
    };
    cargo.env("SANDBOX_TEST_STACK", stack);
    cargo
}

/// Runs the tests on one broker and one database, which are local processes on free ports.
async fn on_one_stack(
    mut cargo: Command,
    sandbox: &Sandbox,
    hold: &Hold,
) -> Result<(Tally, ExitStatus)> {
    let home = StateDir::at(&fresh_folder()?)?;
    // Guarded: they end when this process does, in whatever way, and their data with them.
    let processes = Processes::kill_on_drop(&home);
    let backends = Backends::on_free_ports(&home, &sandbox.sources().installed()?)?;
    note("starting Kafka and PostgreSQL for the tests");
    hold.or(backends.start(&processes)).await?;
    cargo.env("SANDBOX_TEST_KAFKA", backends.kafka.bootstrap());
    cargo.env(
        "SANDBOX_TEST_POSTGRES",
        backends.postgres.server().0.to_string(),
    );
    let outcome = watch(cargo, hold).await;
    // In good order while there is time for it; the guards see to the rest.
    backends.stop(&processes).await?;
    outcome
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Adds what a test program's last line says: `test result: ok. 3 passed; 0 failed; …`.
    fn count(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// Runs cargo and shows what it prints. Interrupted, it ends cargo and every test with it: a test program is no direct child, and
/// would go on.
async fn watch(mut cargo: Command, hold: &Hold) -> Result<(Tally, ExitStatus)> {
    cargo.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut cargo = cargo
        .spawn()
        .context("cannot run cargo: install Rust from https://rustup.rs")?;
    let pid = cargo.id().and_then(|pid| i32::try_from(pid).ok());
    let identity = pid.map(ProcessIdentity::of).transpose()?.flatten();
    let outcome = hold.or(follow(&mut cargo)).await;
    if let (Err(_), Some(cargo)) = (&outcome, identity) {
        signal_tree(&cargo, Signal::KILL)?;
    }
    outcome
}

async fn follow(cargo: &mut Child) -> Result<(Tally, ExitStatus)> {
    let mut tally = Tally::default();
    if let Some(output) = cargo.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines
            .next_line()
            .await
            .context("cannot read cargo's output")?
        {
            tally.count(&line);
            say(line);
        }
    }
    Ok((tally, cargo.wait().await.context("cannot wait for cargo")?))
}

/// A new folder where also the user can go that PostgreSQL runs as.
fn fresh_folder() -> Result<PathBuf> {
    let folder = tempfile::Builder::new()
        .prefix("saga-sandbox-tests-")
        .tempdir();
    Ok(folder.context("cannot make a temporary folder")?.keep())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_are_added_up_and_nothing_else() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test a_line_that_says_test_result ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.10s",
        ] {
            tally.count(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 5,
                failed: 1
            }
        );
    }
}
