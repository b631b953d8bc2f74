//! The command `sandbox`: starts, scales, breaks, checks and measures the shop.
//!
//! Read [`cli`] first (every verb, one line each), then the verb of interest in [`commands`]: its arguments and its output.
//! The work is done by the crates `stack` (processes), `scenario-runner` (scenarios and conditions), `bench` (measurements)
//! and `kafka-admin` (topics, records, dead letters).

mod cli;
mod command_line;
mod commands;

use std::process::ExitCode;

use stack::disk::name_full_disk;
use stack::layout::StackLayout;
use stack::terminal::{self, Usage};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match command_line::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let outcome = match StackLayout::new(cli.stack) {
        Ok(layout) => {
            let outcome = cli::run(cli.verb, &layout).await;
            outcome.map_err(|error| name_full_disk(error, layout.home()))
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => terminal::exit_code(0),
        Err(error) => {
            terminal::error(&error);
            terminal::exit_code(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}
