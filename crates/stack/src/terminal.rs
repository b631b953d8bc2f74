//! Output of the command: one line for each error, colour and progress on a terminal only.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::OnceLock;

use service_kit::output::{self, OutputError};

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
    output::print_remark(line);
}

/// Writes an error with all its causes as one line to standard error.
pub fn error(error: &anyhow::Error) {
    let text = format!("{error:#}");
    let line: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    note(format_args!(
        "{} {}",
        red("error:", io::stderr().is_terminal()),
        line.join(" ")
    ));
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
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        Self { bar }
    }

    /// Replaces the text of the line.
    pub fn say(&self, what: String) {
        self.bar.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Rows under headings, without borders. Columns are as wide as their content, so that no cell is cut in a pipe.
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
        table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
        Self { table }
    }

    /// Adds a row.
    pub fn row<T: Display>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.table
            .add_row(cells.into_iter().map(|cell| cell.to_string()));
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The style without borders still begins each line with the padding of its first cell.
        let lines: Vec<String> = self
            .table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        let lines = lines
            .iter()
            .map(|line| line.strip_prefix(' ').unwrap_or(line));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}
