//! `sandbox load`: load-generator on this stack.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use stack::sandbox::Sandbox;
use stack::settings::environment;
use stack::workload::Workload;

/// What it shall produce.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  ./sandbox load burst --count 1000\n  ./sandbox load continuous --events-per-second 50 --duration 1m --via http\n  ./sandbox load burst --count 1000 --keys single     all on one partition\n\nBroker and order-service of this stack are filled in: ./sandbox load --help shows the rest."
)]
pub struct Load {
    /// Whatever load-generator takes
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

/// Becomes load-generator, so that its exit code, its output and Ctrl-C are its own.
pub async fn run(args: Load, sandbox: &Sandbox) -> Result<()> {
    let generator = Workload::LoadGenerator;
    let environment = environment(sandbox, generator, 1, &BTreeMap::new())?;
    let error = Command::new(sandbox.binary(generator))
        .args(args.arguments)
        .envs(environment)
        .exec();
    Err(error).context("cannot run load-generator: ./sandbox up builds it")
}
