//! Output of the command: one line for each error, colour and progress on a terminal only.
//!
//! Much of it comes from outside: names of groups and topics, keys, error texts, log lines. Everything that is written here is
//! escaped ([`service_kit::escape`]), so that a terminal shows control characters and does not obey them. Only the functions
//! of this module write control sequences of their own.

mod table;

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::OnceLock;

use service_kit::escape::{escape_controls, escape_line};
use service_kit::output::{self, OutputError};

pub use table::Table;

use crate::interrupt;

/// The first failed write to standard output, of which a program has one.
static FAILED_OUTPUT: OnceLock<OutputError> = OnceLock::new();

/// A wrong command line: the program exits with 2 instead of 1. The text says what is valid.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    /// The error as a command returns it.
    pub fn error(message: impl Display) -> anyhow::Error {
        Self(message.to_string()).into()
    }
}

/// Writes one line to standard output. If that fails, the program ends: quietly with exit code 141 when the reader of the pipe
/// has gone (`sandbox logs | head`), else with one line on standard error and exit code 1. A command that changes the stack
/// (an [`interrupt::InterruptGuard`] exists) goes on to its end without further output, so that no change is left half
/// done; see [`exit_code`].
pub fn say(line: impl Display) {
    print(&escape_controls(&line.to_string()));
}

/// Writes one line with a label in one of the terminal's colours, on a terminal; elsewhere without colour.
pub fn say_labelled(colour: u8, label: &str, text: &str) {
    let (label, text) = (escape_line(label), escape_line(text));
    match stdout_is_terminal() {
        true => print(&format!("\x1b[{colour}m{label}\x1b[0m {text}")),
        false => print(&format!("{label} {text}")),
    }
}

/// Writes over the last output of the terminal; elsewhere below it.
pub fn say_on_cleared_screen(text: impl Display) {
    let text = text.to_string();
    let clear = if stdout_is_terminal() {
        "\x1b[H\x1b[2J"
    } else {
        ""
    };
    print(&format!("{clear}{}", escape_controls(&text)));
}

fn print(line: &str) {
    if FAILED_OUTPUT.get().is_none() {
        match output::print(line) {
            Ok(()) => return,
            Err(error) => {
                error.report();
                // Another thread may have failed first, and has reported the same.
                let _ = FAILED_OUTPUT.set(error);
            }
        }
    }
    if let (Some(error), false) = (FAILED_OUTPUT.get(), interrupt::is_guarded()) {
        std::process::exit(error.exit_code().into());
    }
}

/// The exit code of a command that has ended with `code`: success is a failure if its output could not be written. A reader
/// that has gone is no failure, because the work was done.
pub fn exit_code(code: u8) -> ExitCode {
    match FAILED_OUTPUT.get() {
        Some(error @ OutputError::Failed(_)) if code == 0 => error.exit_code().into(),
        _ => code.into(),
    }
}

/// Writes one line to standard error: progress and remarks, which do not belong into the output that a script reads.
pub fn note(line: impl Display) {
    output::print_remark(escape_controls(&line.to_string()));
}

/// Writes an error with all its causes as one line to standard error.
pub fn error(error: &anyhow::Error) {
    let text = format!("{error:#}");
    let line: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    output::print_remark(format_args!(
        "{} {}",
        red("error:", io::stderr().is_terminal()),
        escape_line(&line.join(" "))
    ));
}

/// `1 member`, `2 members`.
pub fn counted(number: usize, singular: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {singular}{plural}")
}

/// Whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

fn red(text: &str, colour: bool) -> String {
    if colour {
        format!("\x1b[31m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// One line about the work in progress, on a terminal only. It disappears when the value is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: indicatif::ProgressBar,
}

impl Progress {
    /// Shows the line.
    pub fn new(what: &str) -> Self {
        // indicatif draws nothing when standard error is no terminal.
        let bar = indicatif::ProgressBar::new_spinner();
        bar.set_message(escape_line(what).into_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        Self { bar }
    }

    /// Replaces the text of the line.
    pub fn say(&self, what: String) {
        self.bar.set_message(escape_line(&what).into_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
