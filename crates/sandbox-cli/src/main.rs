//! The command `sandbox`: starts, scales, breaks, checks and measures the laboratory.
//!
//! Read in this order: [`cli`] (every verb, one line each), [`sandbox`] (what a stack is: its folder, ports and names),
//! [`stack`] (how its processes are started, watched and stopped), [`vantage`] (what is seen of it from where), then the verb of
//! interest in [`commands`].

mod cli;
mod commands;
mod dead_letter_view;

use std::process::ExitCode;

use stack::sandbox::Sandbox;
use stack::terminal::{self, Usage};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let outcome = match Sandbox::new(cli.stack) {
        Ok(sandbox) => cli::run(cli.verb, &sandbox).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            if error.is::<Usage>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
