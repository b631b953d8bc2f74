//! `sandbox test`: every test of the workspace. The test programs run side by side on one broker and one database, which exist
//! for this run only.

mod programs;
mod run;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use local_runtime::backends::Backends;
use local_runtime::process::Processes;
use local_runtime::state_dir::StateDir;
use stack::Mode;
use stack::build;
use stack::interrupt::InterruptGuard;
use stack::layout::StackLayout;
use stack::terminal::{note, say};

use run::{Runner, TestCounts};
use service_kit::settings::whole_number;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox test\n  ./sandbox test redelivery\n  ./sandbox test --jobs 1\n  SANDBOX_TEST_STACK=docker ./sandbox test outage"
)]
pub struct Test {
    /// How broker and database of the tests run: one pair of processes for all tests, or containers of each test program
    #[arg(long, env = "SANDBOX_TEST_STACK", value_enum, default_value_t = Mode::Local)]
    stack: Mode,

    /// How many test programs run side by side, besides one program of unit tests
    #[arg(long, default_value_t = 2, value_parser = whole_number::<u8>(1..=16))]
    jobs: u8,

    /// Only build the test programs
    #[arg(long, conflicts_with = "filter")]
    no_run: bool,

    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Builds everything, runs the tests, and ends with one line that counts them. On an interrupt, all that it started ends.
pub async fn run(args: Test, layout: &StackLayout) -> Result<()> {
    let guard = layout.interrupt().guard()?;
    build::fetch(layout, false, &guard).await?;
    // Some tests start the services as processes of their own.
    build::build(layout, false, &guard).await?;
    let programs = programs::build(layout, &guard).await?;
    if args.no_run {
        return Ok(());
    }

    let mut runner = Runner::new(layout, args.filter.clone(), args.jobs.into());
    runner.set("SANDBOX_TEST_STACK", args.stack.name().to_owned());
    let counts = match args.stack {
        Mode::Local => on_one_stack(runner, programs, layout, &guard).await?,
        Mode::Docker => runner.run(programs, &guard).await?,
    };

    say(format_args!(
        "{} passed, {} failed",
        counts.passed, counts.failed
    ));
    if counts.failed > 0 {
        bail!("some tests failed: see above");
    }
    if counts.passed == 0 {
        bail!(
            "no test has this text in its name: {}",
            args.filter.unwrap_or_default()
        );
    }
    Ok(())
}

/// Runs the tests on one broker and one database, which are local processes on free ports.
async fn on_one_stack(
    mut runner: Runner,
    programs: programs::Programs,
    layout: &StackLayout,
    guard: &InterruptGuard,
) -> Result<TestCounts> {
    let state = StateDir::at(&new_folder()?)?;
    // Both servers end with this process, also when it is killed, and their data is removed.
    let processes = Processes::kill_on_drop(&state);
    let backends = Backends::on_free_ports(&state, &layout.sources().installed()?)?;
    note("starting Kafka and PostgreSQL for the tests");
    guard.unless_interrupted(backends.start(&processes)).await?;
    runner.set("SANDBOX_TEST_KAFKA", backends.kafka.bootstrap());
    runner.set(
        "SANDBOX_TEST_POSTGRES",
        backends.postgres.server().0.to_string(),
    );
    let outcome = runner.run(programs, guard).await;
    backends.stop(&processes).await?;
    outcome
}

/// A new folder that other users can enter: PostgreSQL does not run as root.
fn new_folder() -> Result<PathBuf> {
    let folder = tempfile::Builder::new()
        .prefix("saga-sandbox-tests-")
        .tempdir();
    Ok(folder.context("cannot create a temporary folder")?.keep())
}
