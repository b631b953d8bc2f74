//! The stream that log lines are written to. A line that cannot be written is lost and counted, and
//! the process continues.

use std::io::{self, ErrorKind, Write};

use serde_json::json;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::LogFormat;

/// Writes whole lines. After a full disk or a blocked pipe, the next line that can be written
/// follows a line that says how many were lost and why.
pub(super) struct LogStream<W> {
    stream: W,
    format: LogFormat,
    lost: Option<Lost>,
}

struct Lost {
    lines: u64,
    /// The cause of the last loss.
    cause: io::Error,
    /// Whether a line was written in part, so that the next line must begin on a new one.
    cut: bool,
}

impl<W: Write> LogStream<W> {
    pub(super) fn new(stream: W, format: LogFormat) -> Self {
        Self {
            stream,
            format,
            lost: None,
        }
    }

    fn report_lost(&mut self) -> io::Result<()> {
        let Some(lost) = &mut self.lost else {
            return Ok(());
        };
        let start = if lost.cut { "\n" } else { "" };
        let line = format!("{start}{}\n", lost.line(self.format));
        write_line(&mut self.stream, line.as_bytes()).map_err(|failed| {
            lost.cut |= failed.cut;
            failed.cause
        })?;
        self.lost = None;
        Ok(())
    }
}

impl<W: Write> Write for LogStream<W> {
    /// One line, as `tracing_subscriber` calls it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self
            .report_lost()
            .map_err(|cause| FailedWrite { cause, cut: false })
            .and_then(|()| write_line(&mut self.stream, line));
        let Err(failed) = written else {
            return Ok(line.len());
        };
        let error = failed.cause.kind().into();
        let (lines, cut) = self
            .lost
            .as_ref()
            .map_or((0, false), |lost| (lost.lines, lost.cut));
        self.lost = Some(Lost {
            lines: lines + 1,
            cut: cut || failed.cut,
            cause: failed.cause,
        });
        Err(error)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Lost {
    /// In the form of all other lines, but not an event: an event would be written to this stream
    /// while it is locked.
    fn line(&self, format: LogFormat) -> String {
        const TARGET: &str = module_path!();
        const MESSAGE: &str = "log lines were lost";
        let (lines, cause) = (self.lines, &self.cause);
        let mut time = String::new();
        // Writing to a string cannot fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        match format {
            LogFormat::Text => {
                format!("{time}  WARN {TARGET}: {MESSAGE} log.lines={lines} error={cause}")
            }
            LogFormat::Json => json!({
                "timestamp": time,
                "level": "WARN",
                "message": MESSAGE,
                "log.lines": lines,
                "error": cause.to_string(),
                "target": TARGET,
            })
            .to_string(),
        }
    }
}

struct FailedWrite {
    cause: io::Error,
    /// Whether a part was written.
    cut: bool,
}

/// `Write::write_all`, which does not say whether a part was written.
fn write_line(stream: &mut impl Write, line: &[u8]) -> Result<(), FailedWrite> {
    let mut rest = line;
    while !rest.is_empty() {
        let cause = match stream.write(rest) {
            Ok(0) => ErrorKind::WriteZero.into(),
            Ok(bytes) => {
                rest = rest.get(bytes..).unwrap_or_default();
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        let cut = rest.len() < line.len();
        return Err(FailedWrite { cause, cut });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A disk with room for some bytes. Clones share it.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Disk {
        fn free(&self, bytes: usize) {
            self.0.lock().unwrap().0 = bytes;
        }

        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().1.clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (free, content) = &mut *self.0.lock().unwrap();
            let length = bytes.len().min(*free);
            *free -= length;
            content.extend(&bytes[..length]);
            match length {
                0 => Err(ErrorKind::StorageFull.into()),
                _ => Ok(length),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_lost_on_a_full_disk_are_counted_in_the_next_line() {
        let disk = Disk::default();
        let mut log = LogStream::new(disk.clone(), LogFormat::Text);
        disk.free(12);
        assert!(log.write_all(b"first\n").is_ok());
        // Six bytes of this line are written, and nothing of the next two.
        for lost in ["cut in two\n", "lost\n", "lost\n"] {
            assert!(log.write_all(lost.as_bytes()).is_err());
        }
        disk.free(1_000);
        assert!(log.write_all(b"last\n").is_ok());
        assert!(log.write_all(b"and one more\n").is_ok());
        let lines = disk.lines();
        let [first, cut, lost, last, more] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(
            [first, cut, last, more],
            ["first", "cut in", "last", "and one more"]
        );
        for part in [
            "WARN",
            "log lines were lost log.lines=3",
            "no storage space",
        ] {
            assert!(lost.contains(part), "{lost}");
        }
        let time = lost.split(' ').next().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{lost}");
    }

    #[test]
    fn in_json_the_line_about_lost_lines_is_json() {
        let disk = Disk::default();
        let mut log = LogStream::new(disk.clone(), LogFormat::Json);
        assert!(log.write_all(b"{}\n").is_err());
        disk.free(1_000);
        assert!(log.write_all(b"{}\n").is_ok());
        let lines = disk.lines();
        let lost: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            (&lost["log.lines"], &lost["level"]),
            (&json!(1), &json!("WARN"))
        );
        assert_eq!(lines[1], "{}");
    }
}
