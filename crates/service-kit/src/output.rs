//! Standard output and standard error of a program.
//!
//! `println!` and `eprintln!` panic when a write fails: the disk is full, or the reader of the pipe
//! has gone. Every program writes through this module instead (clippy denies the macros). A failed
//! write to standard output is an [`OutputError`], which has an exit code. A failed write to
//! standard error is ignored, because there is no other place to report it.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use crate::escape::escape_line;

/// The exit code after standard output was closed by its reader (`sandbox logs | head`). It is what
/// a shell reports for a program that SIGPIPE has ended. It is not 0, because the program may have
/// ended before its work was done.
pub const READER_GONE: u8 = 141;

/// Why a line was not written to standard output.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader of the pipe has closed it, and expects no further line.
    #[error("the reader of standard output has gone")]
    ReaderGone,
    /// Any other error, such as a full disk.
    #[error("cannot write to standard output: {0}")]
    Failed(#[source] io::Error),
}

impl OutputError {
    /// The exit code of a program that ends because of this error: [`READER_GONE`] or 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::ReaderGone => READER_GONE,
            Self::Failed(_) => 1,
        }
    }

    /// Writes a line to standard error, unless the reader has gone: then the program ends quietly.
    pub fn report(&self) {
        if let Self::Failed(_) = self {
            print_error(self);
        }
    }
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Failed(error),
        }
    }
}

/// Writes a line to standard output.
///
/// # Errors
/// If the line was not written, or not all of it.
pub fn print(line: impl Display) -> Result<(), OutputError> {
    write_to(&mut io::stdout(), line)
}

/// Writes a line to standard error: progress, remarks and errors.
pub fn print_remark(line: impl Display) {
    let _ = io::stderr().write_all(with_line_feed(line).as_bytes());
}

/// Writes an error as one line to standard error. Control characters are escaped: the text of an
/// error may come from outside.
pub fn print_error(error: impl Display) {
    let error = error.to_string();
    print_remark(format_args!("error: {}", escape_line(error.trim())));
}

/// Ends the process after its last line of output: with `code`, or with that of the error.
pub(crate) fn exit(printed: Result<(), OutputError>, code: u8) -> ! {
    let code = printed.map_or_else(
        |error| {
            error.report();
            error.exit_code()
        },
        |()| code,
    );
    std::process::exit(code.into())
}

/// In one write, so that lines of several processes with one output are not mixed. The flush
/// reports an error that a buffer would keep until the process ends.
fn write_to(stream: &mut impl Write, line: impl Display) -> Result<(), OutputError> {
    stream.write_all(with_line_feed(line).as_bytes())?;
    Ok(stream.flush()?)
}

fn with_line_feed(line: impl Display) -> String {
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use std::io::BufWriter;

    use super::*;

    #[test]
    fn a_line_to_a_full_disk_is_an_error_with_its_cause() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let error = write_to(&mut BufWriter::new(full.unwrap()), "a line").unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("No space left"), "{error}");
    }

    #[test]
    fn a_line_to_a_closed_pipe_has_the_exit_code_of_sigpipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert!(write_to(&mut writer, "read").is_ok());
        drop(reader);
        let error = write_to(&mut writer, "not read").unwrap_err();
        assert_eq!((error.exit_code(), READER_GONE), (141, 141));
    }
}
