//! `sandbox load`: runs load-generator against this stack.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use local_runtime::environment;
use stack::layout::StackLayout;
use stack::settings::environment;
use stack::workload::Workload;

/// The arguments of load-generator.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  ./sandbox load burst --count 1000\n  ./sandbox load continuous --events-per-second 50 --duration 1m --via http\n  ./sandbox load burst --count 1000 --keys single     all on one partition\n\nThe addresses of this stack's broker and order-service are filled in; ./sandbox load --help shows all arguments."
)]
pub struct Load {
    /// The arguments of load-generator
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

/// Replaces this process with load-generator, so that exit code, output and Ctrl-C are those of load-generator.
pub async fn run(args: Load, layout: &StackLayout) -> Result<()> {
    let generator = Workload::LoadGenerator;
    let environment = environment(layout, generator, 1, &BTreeMap::new())?;
    let mut command = Command::new(layout.binary(generator));
    let error = environment::replace(&mut command)
        .args(args.arguments)
        .envs(environment)
        .exec();
    Err(error).context("cannot run load-generator: ./sandbox up builds it")
}
